//! [`FaceCropMeta`], the pixels between `facecrop` and `hrnetinfer`.

use std::{mem, ptr, sync::Arc, sync::LazyLock};

use gst::glib::{self, translate::*};
use gst::prelude::*;

use super::{Changes, Reasons};

/// The previous frame's crop, taken with the rectangle of the current one.
#[derive(Clone, Debug, PartialEq)]
pub struct Previous {
    /// As [`FaceCrop::pixels`].
    pub pixels: Vec<f32>,
    /// Time from the previous frame to this one, more than 0; `None` without timestamps.
    pub interval: Option<gst::ClockTime>,
}

/// One face of a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceCrop {
    /// Stable while the face is followed.
    pub id: u32,
    /// Face rectangle x, y, w, h (without the crop's margin), fractions of the frame.
    pub rect: [f64; 4],
    /// Side of the square crop in pixels.
    pub size: usize,
    /// Planar R, G, B of the crop, 3 × size × size, area-averaged in float, 0..1.
    pub pixels: Vec<f32>,
    /// Absent on a face's first frame and after a gap.
    pub previous: Option<Previous>,
    /// Since the previous frame.
    pub changes: Changes,
    /// What the pixels and the following tell against a reading at this frame.
    pub reasons: Reasons,
}

/// The crops of all faces of a frame. Typed, process-private, and tagged so that whatever scales,
/// converts or turns the frame drops it. In the ALLOCATION query it stands with a structure whose
/// field `size` (uint) is the crop size that `hrnetinfer` asks for.
#[repr(transparent)]
pub struct FaceCropMeta(ffi::FaceCropMeta);

unsafe impl Send for FaceCropMeta {}
unsafe impl Sync for FaceCropMeta {}

impl FaceCropMeta {
    /// Crop size where nobody asks for one.
    pub const DEFAULT_SIZE: usize = 72;

    /// Attaches `faces` to `buffer`, in place of crops that are there.
    pub fn write(buffer: &mut gst::BufferRef, faces: Vec<FaceCrop>) {
        while let Some(old) = buffer.meta_mut::<FaceCropMeta>() {
            let _ = old.remove();
        }
        let mut params = mem::ManuallyDrop::new(ffi::Params { faces: faces.into() });
        unsafe {
            let meta = gst::ffi::gst_buffer_add_meta(
                buffer.as_mut_ptr(),
                ffi::info(),
                ptr::from_mut(&mut *params).cast(),
            );
            assert!(!meta.is_null(), "meta is registered");
        }
    }

    /// The faces of the frame; empty where none was found.
    pub fn faces(&self) -> &[FaceCrop] {
        &self.0.faces
    }

    /// The faces, to keep beyond the life of the meta.
    pub fn shared_faces(&self) -> Arc<[FaceCrop]> {
        self.0.faces.clone()
    }

    /// The structure for the ALLOCATION query that asks for crops of `size`.
    pub fn proposal(size: usize) -> gst::Structure {
        gst::Structure::builder("face-crop").field("size", size as u32).build()
    }

    /// The crop size that an answered ALLOCATION query asks for.
    pub fn proposed_size(query: &gst::query::Allocation) -> Option<usize> {
        let index = query.find_allocation_meta::<FaceCropMeta>()?;
        let (_, params) = query.allocation_metas().nth(index as usize)?;
        let size = params?.get::<u32>("size").ok()? as usize;
        (1..=1024).contains(&size).then_some(size)
    }
}

unsafe impl MetaAPI for FaceCropMeta {
    type GstType = ffi::FaceCropMeta;

    fn meta_api() -> glib::Type {
        *ffi::API
    }
}

mod ffi {
    use super::*;

    pub struct Params {
        pub faces: Arc<[FaceCrop]>,
    }

    #[repr(C)]
    pub struct FaceCropMeta {
        parent: gst::ffi::GstMeta,
        pub faces: Arc<[FaceCrop]>,
    }

    pub static API: LazyLock<glib::Type> = LazyLock::new(|| unsafe {
        let tags = [c"video", c"size", c"orientation", c"colorspace"].map(|t| t.as_ptr());
        let mut tags = [tags[0], tags[1], tags[2], tags[3], ptr::null()];
        let api = gst::ffi::gst_meta_api_type_register(
            c"HeartRateFaceCropMetaAPI".as_ptr(),
            tags.as_mut_ptr(),
        );
        from_glib(api)
    });

    struct Info(ptr::NonNull<gst::ffi::GstMetaInfo>);
    unsafe impl Send for Info {}
    unsafe impl Sync for Info {}

    pub fn info() -> *const gst::ffi::GstMetaInfo {
        static INFO: LazyLock<Info> = LazyLock::new(|| unsafe {
            let info = gst::ffi::gst_meta_register(
                API.into_glib(),
                c"HeartRateFaceCropMeta".as_ptr(),
                mem::size_of::<FaceCropMeta>(),
                Some(init),
                Some(free),
                Some(transform),
            );
            Info(ptr::NonNull::new(info.cast_mut()).expect("meta name is free"))
        });
        INFO.0.as_ptr()
    }

    unsafe extern "C" fn init(
        meta: *mut gst::ffi::GstMeta,
        params: glib::ffi::gpointer,
        _buffer: *mut gst::ffi::GstBuffer,
    ) -> glib::ffi::gboolean {
        unsafe {
            let params = ptr::read(params.cast::<Params>());
            ptr::write(&raw mut (*meta.cast::<FaceCropMeta>()).faces, params.faces);
        }
        glib::ffi::GTRUE
    }

    unsafe extern "C" fn free(meta: *mut gst::ffi::GstMeta, _buffer: *mut gst::ffi::GstBuffer) {
        unsafe { ptr::drop_in_place(&raw mut (*meta.cast::<FaceCropMeta>()).faces) }
    }

    /// Follows a plain copy of the buffer (as `make_writable` makes), nothing else.
    unsafe extern "C" fn transform(
        dest: *mut gst::ffi::GstBuffer,
        meta: *mut gst::ffi::GstMeta,
        _buffer: *mut gst::ffi::GstBuffer,
        type_: glib::ffi::GQuark,
        _data: glib::ffi::gpointer,
    ) -> glib::ffi::gboolean {
        unsafe {
            if type_ != glib::Quark::from_static_str(glib::gstr!("gst-copy")).into_glib() {
                return glib::ffi::GFALSE;
            }
            let faces = (*meta.cast::<FaceCropMeta>()).faces.clone();
            let mut params = mem::ManuallyDrop::new(Params { faces });
            let copy =
                gst::ffi::gst_buffer_add_meta(dest, info(), ptr::from_mut(&mut *params).cast());
            (!copy.is_null()).into_glib()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crop(id: u32) -> FaceCrop {
        FaceCrop {
            id,
            rect: [0.1, 0.2, 0.3, 0.4],
            size: 1,
            pixels: vec![0.25, 0.5, 0.75],
            previous: None,
            changes: Changes::default(),
            reasons: Reasons::NONE,
        }
    }

    #[test]
    fn crops_follow_a_copy_and_are_replaced() {
        gst::init().unwrap();
        let mut buffer = gst::Buffer::new();
        FaceCropMeta::write(buffer.make_mut(), vec![crop(1)]);
        FaceCropMeta::write(buffer.make_mut(), vec![crop(2), crop(3)]);
        let copy = buffer.copy();
        drop(buffer);
        assert_eq!(copy.meta::<FaceCropMeta>().unwrap().faces(), [crop(2), crop(3)]);
        assert_eq!(copy.iter_meta::<FaceCropMeta>().count(), 1);
    }

    #[test]
    fn the_allocation_query_carries_the_size() {
        gst::init().unwrap();
        let mut query = gst::query::Allocation::new(None, false);
        assert_eq!(FaceCropMeta::proposed_size(&query), None);
        query.add_allocation_meta::<FaceCropMeta>(Some(&FaceCropMeta::proposal(36)));
        assert_eq!(FaceCropMeta::proposed_size(&query), Some(36));
    }
}
