#include "drivers/test/driver.hpp"
#include "drivers/test/machine.hpp"
#include "xml/domain/check.hpp"

namespace lodge::drivers::test {

namespace {

constexpr const char* example = R"(<domain type='test'>
  <name>test</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <memory>8388608</memory>
  <currentMemory>2097152</currentMemory>
  <vcpu>2</vcpu>
  <os>
    <type>hvm</type>
  </os>
</domain>
)";

constexpr const char* capabilities_text = R"(<capabilities>

  <host>
    <cpu>
      <arch>i686</arch>
    </cpu>
  </host>

  <guest>
    <os_type>hvm</os_type>
    <arch name='i686'>
      <wordsize>32</wordsize>
      <domain type='test'/>
    </arch>
  </guest>

</capabilities>
)";

class TestDriver final : public Driver {
  public:
    explicit TestDriver(Executor executor)
        : executor_(std::move(executor)) {}

    std::string type() const override { return "TEST"; }
    std::string scheme() const override { return "test"; }
    std::vector<std::string> domain_types() const override { return {"test"}; }
    rpc::From error_domain() const override { return rpc::From::test; }

    Task<std::uint64_t> version() override { co_return 2; } // what libvirt's own test driver answers
    Task<std::string> capabilities() override { co_return capabilities_text; }
    Task<std::string> domain_capabilities(std::string, std::string, std::string, std::string) override {
        rpc::fail(Code::no_support, "virConnectGetDomainCapabilities");
    }
    Task<unsigned> max_vcpus(std::string) override { co_return 32; }

    Task<> complete(xml::Domain& domain, Completion) override {
        const auto type = xml::word(domain.type);
        if (type != "test")
            rpc::fail(rpc::From::domain, Code::config_unsupported, "unexpected domain type {}, expecting test", type);
        xml::check_domain(domain);
        xml::check_name(domain);
        if (domain.uuid.is_nil()) domain.uuid = rpc::Uuid::random();
        if (!domain.current_memory) domain.current_memory = xml::Kibibytes{domain.total_memory_kib()};
        if (domain.os.type.arch.empty()) domain.os.type.arch = "i686";
        co_return;
    }

    Task<> check_device(xml::Domain, xml::DeviceAt) override { co_return; }

    Task<std::shared_ptr<Machine>> launch(LaunchRequest request) override {
        co_return std::make_shared<TestMachine>(executor_, std::move(request));
    }
    Task<std::shared_ptr<Machine>> adopt(AdoptRequest) override {
        rpc::fail(Code::operation_failed, "guests in memory end with the daemon");
    }
    std::vector<std::string> built_in_domains() const override { return {example}; }

  private:
    Executor executor_;
};

} // namespace

std::unique_ptr<Driver> make_driver(Executor executor) { return std::make_unique<TestDriver>(std::move(executor)); }

} // namespace lodge::drivers::test
