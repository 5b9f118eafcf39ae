// Where the daemon's words go: standard error, files or the journal; how many, by level and by source.
#pragma once
#include <string>

namespace lodge::daemon {

// `outputs` as in libvirtd.conf: "LEVEL:stderr", "LEVEL:file:/path", "LEVEL:journald", "LEVEL:syslog:NAME", several separated by
// blanks; empty: the journal when systemd started us, else standard error. Levels: 1 debug … 4 error. Throws Code::invalid_arg
// naming what is wrong.
void set_up_logging(int level, const std::string& outputs);

// Changes the level while running (virt-admin).
void set_log_level(int level);
int log_level();
std::string log_outputs();
void set_log_outputs(const std::string& outputs);

} // namespace lodge::daemon
