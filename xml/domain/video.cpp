#include "xml/domain/check.hpp"

namespace lodge::xml {

void describe(Doc& doc, Acceleration& acceleration) {
    doc.attribute("accel3d", acceleration.accel3d, Mark::guest);
    doc.attribute("accel2d", acceleration.accel2d, Mark::guest);
    doc.attribute("rendernode", acceleration.rendernode);
    doc.check("", [&] {
        if (!acceleration.accel3d && !acceleration.accel2d && acceleration.rendernode.empty())
            unsupported("missing values for acceleration");
    });
}

void describe(Doc& doc, Resolution& resolution) {
    doc.required("x", resolution.x);
    doc.required("y", resolution.y);
}

void describe(Doc& doc, VideoDriver& driver) {
    describe_virtio(doc, driver.virtio);
    doc.attribute("name", driver.name, Mark::positive);
    doc.attribute("vgaconf", driver.vgaconf);
}

void describe(Doc& doc, VideoModel& model) {
    doc.attribute("type", model.type, Mark::guest | Mark::blank);
    doc.attribute("ram", model.ram, Mark::guest | Mark::unless_zero | Mark::blank);
    doc.attribute("vram", model.vram, Mark::guest | Mark::unless_zero | Mark::blank);
    doc.attribute("vram64", model.vram64, Mark::guest | Mark::blank);
    doc.attribute("vgamem", model.vgamem, Mark::guest | Mark::unless_zero | Mark::blank);
    doc.attribute("heads", model.heads, Mark::guest | Mark::blank);
    doc.attribute("primary", model.primary, Mark::blank);
    doc.child("acceleration", model.acceleration);
    doc.child("resolution", model.resolution);
}

void describe(Doc& doc, Video& video) {
    doc.child("driver", video.driver);
    doc.child("model", video.model);
    describe_info(doc, video.info);
}

} // namespace lodge::xml
