// What commands that tune a domain have in common: libvirt's typed parameters, to send and to show, and the options that say
// which of the domain's two documents is meant.
#pragma once
#include "cli/session.hpp"

#include <libvirt/libvirt.h>

namespace lodge::cli {

// virTypedParameter lists of libvirt's C library, whose strings are ours to free.
class Parameters {
  public:
    ~Parameters() { virTypedParamsFree(list_, count_); }
    Parameters() = default;
    Parameters(const Parameters&) = delete;
    Parameters& operator=(const Parameters&) = delete;

    void add(const char* name, unsigned long long value) { check(virTypedParamsAddULLong(&list_, &count_, &room_, name, value)); }
    void add(const char* name, unsigned value) { check(virTypedParamsAddUInt(&list_, &count_, &room_, name, value)); }
    void add(const char* name, int value) { check(virTypedParamsAddInt(&list_, &count_, &room_, name, value)); }
    void add(const char* name, bool value) { check(virTypedParamsAddBoolean(&list_, &count_, &room_, name, value)); }
    void add(const char* name, const std::string& value) {
        check(virTypedParamsAddString(&list_, &count_, &room_, name, value.c_str()));
    }
    void add_text(const char* name, int type, const std::string& value) {
        check(virTypedParamsAddFromString(&list_, &count_, &room_, name, type, value.c_str()));
    }
    // Room for what a question answers, or for what libvirt allocates itself.
    virTypedParameterPtr room_for(int count) {
        list_ = static_cast<virTypedParameterPtr>(::calloc(static_cast<std::size_t>(count), sizeof(virTypedParameter)));
        return list_;
    }
    void filled(int count) { count_ = count; }
    virTypedParameterPtr* list_out() { return &list_; }
    int* count_out() { return &count_; }

    int count() const { return count_; }
    virTypedParameterPtr list() const { return list_; }
    const virTypedParameter* begin() const { return list_; }
    const virTypedParameter* end() const { return list_ + count_; }

  private:
    virTypedParameterPtr list_ = nullptr;
    int count_ = 0, room_ = 0;
};

// "name : value" lines, or one object; with 'unlimited' the largest number is that word.
void show_parameters(Session& session, const Parameters& parameters, bool unlimited = false, int width = 15);

Option the_domain();
std::vector<Option> with_affect(std::vector<Option> options);

} // namespace lodge::cli
