pub mod area;
pub mod detector;
pub mod follow;
#[cfg(test)]
mod lab;
pub mod pixels;

pub(crate) fn register(_plugin: &gst::Plugin) -> Result<(), gst::glib::BoolError> {
    Ok(())
}
