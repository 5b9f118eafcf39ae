// All network filters of the host and where they are at work (bindings): their rules, files, and the packet filter behind them. A
// change of a filter reaches every interface that uses it, or is refused. Control thread only; changes stand in one queue.
#pragma once
#include "daemon/host.hpp"
#include "daemon/job_queue.hpp"
#include "drivers/nwfilter/expand.hpp"
#include "rpc/generated/remote.hpp"
#include "xml/nwfilter.hpp"

namespace lodge::daemon {

using FilterDocument = std::shared_ptr<const xml::Filter>;

class NwFilter {
  public:
    explicit NwFilter(FilterDocument definition)
        : document(std::move(definition)) {}
    const std::string& name() const { return document->name; }
    const rpc::Uuid& uuid() const { return document->uuid; }
    rpc::remote::NonnullNwfilter wire() const { return {name(), uuid()}; }

    FilterDocument document; // replaced as a whole
};
using NwFilterPtr = std::shared_ptr<NwFilter>;

rpc::remote::NonnullNwfilterBinding wire(const xml::FilterBinding& binding);

class NwFilters {
  public:
    explicit NwFilters(Host& host)
        : host_(host) {}

    // Filters, and the bindings of an earlier daemon, whose rules are put in place anew.
    Task<> load();

    // Throw Code::no_nwfilter, Code::no_nwfilter_binding.
    NwFilterPtr find_name(const std::string& name) const;
    NwFilterPtr find_uuid(const rpc::Uuid& uuid) const;
    const xml::FilterBinding& find_binding(const std::string& port) const;
    const std::map<std::string, NwFilterPtr>& filters() const { return filters_.all(); }
    const std::map<std::string, xml::FilterBinding>& bindings() const { return bindings_; } // by interface

    Task<NwFilterPtr> define(xml::Filter document);
    Task<> undefine(rpc::Uuid uuid);
    Task<> bind(xml::FilterBinding binding);
    Task<> unbind(std::string port);
    // What a guest leaves behind; nothing when the interface is bound to somebody else, or not at all.
    Task<> release(std::string port, rpc::Uuid owner);

  private:
    // Looks a filter up as if `replacement` (may be null) were defined already.
    drivers::FilterLookup lookup(FilterDocument replacement) const;
    void check_conflict(const xml::Filter& document) const;
    bool uses(const xml::FilterBinding& binding, const std::string& filter) const;
    // What nft is to be told for a binding, which gets its MAC address as a variable; empty while its interface is not there.
    std::string ruleset_of(xml::FilterBinding& binding, const FilterDocument& replacement) const;
    // The binding as it is then.
    Task<xml::FilterBinding> put_in_place(xml::FilterBinding binding, FilterDocument replacement);
    Task<> put_all_in_place(std::string filter, FilterDocument replacement);
    Task<> change_everywhere(FilterDocument changed);
    Task<> load_filters();
    Task<> load_bindings();
    Task<> put_all_in_place_at_once();
    Task<> remove_binding(std::string port);
    Task<> load_one(std::string text, std::string name, std::string path);
    Task<> store_definition(FilterDocument document);

    std::string definition_file(const std::string& name) const;
    std::string binding_file(const std::string& port) const;
    Task<JobQueue::Job> acquire(std::string api_name) { return changes_.acquire(nullptr, std::move(api_name)); }

    Host& host_;
    Registry<NwFilter> filters_;
    std::map<std::string, xml::FilterBinding> bindings_;
    JobQueue changes_;
};

} // namespace lodge::daemon
