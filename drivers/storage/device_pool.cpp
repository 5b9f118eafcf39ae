#include "drivers/storage/device_pool.hpp"
#include "drivers/storage/tools.hpp"

namespace lodge::drivers {

[[noreturn]] static void refuse(const std::string& program, xml::PoolType type) {
    if (!program.empty()) tool(program, {}); // the first thing that is missing
    rpc::fail(Code::no_support, "storage pools of type '{}' cannot be active under this daemon", xml::word(type));
}

Task<> DevicePool::build(xml::Pool pool, PoolBuild) { refuse(program_, pool.type); }
Task<> DevicePool::start(xml::Pool pool) { refuse(program_, pool.type); }
Task<PoolContents> DevicePool::refresh(xml::Pool pool) { refuse(program_, pool.type); }

} // namespace lodge::drivers
