// All secrets of the host: documents and values, their rules, files and events. Values of private secrets leave the daemon only
// through SecretValues, which hypervisor drivers ask. Control thread only; changes stand in one queue.
#pragma once
#include "daemon/host.hpp"
#include "daemon/job_queue.hpp"
#include "drivers/driver.hpp"
#include "rpc/generated/remote.hpp"
#include "xml/secret.hpp"

namespace lodge::daemon {

class Secret {
  public:
    explicit Secret(xml::Secret definition)
        : document(std::move(definition)) {}
    ~Secret() { set_value(std::nullopt); }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;

    const rpc::Uuid& uuid() const { return document.uuid; }
    rpc::remote::NonnullSecret wire() const;
    // Throws Code::no_secret when there is none.
    const std::string& value() const;
    bool has_value() const { return value_.has_value(); }
    // The bytes of the old one are overwritten.
    void set_value(std::optional<std::string> value);

    xml::Secret document;

  private:
    std::optional<std::string> value_;
};

using SecretPtr = std::shared_ptr<Secret>;

class Secrets final : public drivers::SecretValues {
  public:
    explicit Secrets(Host& host)
        : host_(host) {}

    Task<> load();

    // Throw Code::no_secret.
    SecretPtr find(const rpc::Uuid& uuid) const;
    SecretPtr find_usage(xml::SecretUsage type, const std::string& id) const;
    // By VIR_CONNECT_LIST_SECRETS_*; 0: all.
    std::vector<SecretPtr> list(unsigned filter) const;

    Task<SecretPtr> define(xml::Secret document);
    Task<> undefine(rpc::Uuid uuid);
    Task<> set_value(rpc::Uuid uuid, std::string value);

    std::string by_uuid(const rpc::Uuid& uuid, xml::SecretUsage type) const override;
    std::string by_usage(xml::SecretUsage type, const std::string& id) const override;

  private:
    SecretPtr with_usage(xml::SecretUsage type, const std::string& id) const; // null: none
    void check_conflict(const xml::Secret& document) const;
    Task<> store(xml::Secret document, SecretPtr before);
    void load_one(const std::string& text, const std::string& name, const std::string& path);
    void emit(const Secret& secret, int event);

    std::string definition_file(const rpc::Uuid& uuid) const;
    std::string value_file(const rpc::Uuid& uuid) const;
    Task<JobQueue::Job> acquire(std::string api_name) { return changes_.acquire(nullptr, std::move(api_name)); }

    Host& host_;
    std::map<rpc::Uuid, SecretPtr> secrets_;
    JobQueue changes_;
};

} // namespace lodge::daemon
