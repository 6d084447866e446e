//! Reading and writing the one `GstCustomMeta` of a name on a buffer.

use gst::prelude::*;

/// Replaces the fields of the custom meta `name` on `buffer`, adding the meta if need be.
pub(super) fn replace(
    buffer: &mut gst::BufferRef,
    name: &str,
    fill: impl FnOnce(&mut gst::StructureRef),
) {
    super::register();
    if gst::meta::CustomMeta::from_buffer(buffer, name).is_err() {
        gst::meta::CustomMeta::add(buffer, name).expect("custom meta is registered");
    }
    let mut meta = gst::meta::CustomMeta::from_mut_buffer(buffer, name)
        .expect("custom meta was there or was added");
    let structure = meta.mut_structure();
    structure.remove_all_fields();
    fill(structure);
}

/// The structures of the array field `field`.
pub(super) fn structures(s: &gst::StructureRef, field: &str) -> Option<Vec<gst::Structure>> {
    let array = s.get::<gst::Array>(field).ok()?;
    array.iter().map(|v| v.get::<gst::Structure>().ok()).collect()
}

/// An array value of structures.
pub(super) fn array(structures: impl Iterator<Item = gst::Structure>) -> gst::Array {
    gst::Array::from_values(structures.map(|s| s.to_send_value()))
}
