// The live objects of one kind by name and UUID. Names and UUIDs are unique within a registry.
#pragma once
#include "rpc/uuid.hpp"
#include <map>
#include <memory>
#include <string>
#include <unordered_map>

namespace lodge::daemon {

template<class T> class Registry {
  public:
    using Pointer = std::shared_ptr<T>;

    Pointer by_name(const std::string& name) const {
        const auto it = names_.find(name);
        return it == names_.end() ? nullptr : it->second;
    }
    Pointer by_uuid(const rpc::Uuid& uuid) const {
        const auto it = uuids_.find(uuid);
        return it == uuids_.end() ? nullptr : it->second;
    }
    void add(Pointer object) {
        uuids_[object->uuid()] = object;
        names_[object->name()] = std::move(object);
    }
    void remove(const T& object) {
        uuids_.erase(object.uuid());
        names_.erase(object.name()); // last: may be the object's end
    }
    // Gives the object its place under a new name; `rename` sets it.
    template<class F> void rename(T& object, F rename) {
        auto node = names_.extract(object.name());
        rename();
        node.key() = object.name();
        names_.insert(std::move(node));
    }
    const std::map<std::string, Pointer>& all() const { return names_; }

  private:
    std::map<std::string, Pointer> names_; // ordered: lists come out by name
    std::unordered_map<rpc::Uuid, Pointer, rpc::UuidHash> uuids_;
};

} // namespace lodge::daemon
