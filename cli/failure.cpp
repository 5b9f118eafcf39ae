#include "cli/failure.hpp"

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

namespace lodge::cli {

namespace {

// Kept here because libvirt forgets its last error at the next call, be it only for the name of an object.
thread_local std::string last_text;
thread_local int last_code = VIR_ERR_OK;

void note_error(void*, virErrorPtr error) {
    last_text = error->message ? error->message : "";
    last_code = error->code;
    while (!last_text.empty() && last_text.back() == '\n') last_text.pop_back();
}

} // namespace

void listen_to_libvirt() {
    virInitialize();
    virSetErrorFunc(nullptr, note_error);
}

std::string cause() { return last_text; }

int cause_code() { return last_code; }

void forget_cause() {
    last_text.clear();
    last_code = VIR_ERR_OK;
}

void throw_failure(std::string text) { throw Failure(std::move(text)); }

void throw_with_cause(std::string text) {
    auto reason = cause();
    if (text.empty())
        text = reason.empty() ? "unknown error" : reason;
    else if (!reason.empty())
        text += ": " + reason;
    throw Failure(std::move(text));
}

} // namespace lodge::cli
