pub mod contract;
pub mod maps;

pub(crate) fn register(_plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    Ok(())
}
