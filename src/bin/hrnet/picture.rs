//! What an image file says of itself at its beginning.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The media type of an image, by its ending.
pub fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "image/bmp",
    }
}

/// Width and height in pixels; `None` where the beginning of the file does not tell, which is left
/// to its decoder.
pub fn size(path: &Path) -> Result<Option<(u32, u32)>, String> {
    let mut head = Vec::new();
    let file = File::open(path).map_err(|e| format!("{}: can't be read: {e}", path.display()))?;
    // A JPEG's size stands behind its tables and whatever a camera says of itself.
    let read = file.take(1 << 18).read_to_end(&mut head);
    read.map_err(|e| format!("{}: can't be read: {e}", path.display()))?;
    Ok(match media_type(path) {
        "image/png" => png(&head),
        "image/jpeg" => jpeg(&head),
        _ => bmp(&head),
    })
}

fn bytes<const N: usize>(head: &[u8], at: usize) -> Option<[u8; N]> {
    head.get(at..at + N)?.try_into().ok()
}

/// IHDR is a PNG's first chunk (ISO 15948, 11.2.2).
fn png(head: &[u8]) -> Option<(u32, u32)> {
    head.starts_with(b"\x89PNG\r\n\x1a\n").then_some(())?;
    Some((u32::from_be_bytes(bytes(head, 16)?), u32::from_be_bytes(bytes(head, 20)?)))
}

/// BITMAPINFOHEADER; a negative height means that the first row is the upper one.
fn bmp(head: &[u8]) -> Option<(u32, u32)> {
    head.starts_with(b"BM").then_some(())?;
    let side = |at| Some(i32::from_le_bytes(bytes(head, at)?).unsigned_abs());
    Some((side(18)?, side(22)?))
}

/// The frame header, SOF0 to SOF15 but for the tables among them (ITU-T T.81, B.2.2).
fn jpeg(head: &[u8]) -> Option<(u32, u32)> {
    head.starts_with(&[0xff, 0xd8]).then_some(())?;
    let mut at = 2;
    loop {
        let [mark, kind] = bytes(head, at)?;
        (mark == 0xff).then_some(())?;
        if matches!(kind, 0xc0..=0xcf) && !matches!(kind, 0xc4 | 0xc8 | 0xcc) {
            let side = |at| Some(u32::from(u16::from_be_bytes(bytes(head, at)?)));
            return Some((side(at + 7)?, side(at + 5)?));
        }
        at += 2 + usize::from(u16::from_be_bytes(bytes(head, at + 2)?));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_stumps_are_not() {
        let png_head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0";
        assert_eq!(png(png_head), Some((640, 480)));
        let mut bmp_head = b"BM".to_vec();
        bmp_head.resize(18, 0);
        bmp_head.extend(640i32.to_le_bytes());
        bmp_head.extend((-480i32).to_le_bytes());
        assert_eq!(bmp(&bmp_head), Some((640, 480)));
        let tables = [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2, 0xff, 0xc4, 0, 2];
        let jpeg_head = [&tables[..], &[0xff, 0xc2, 0, 11, 8, 1, 0xe0, 2, 0x80]].concat();
        assert_eq!(jpeg(&jpeg_head), Some((640, 480)));
        for n in 0..png_head.len() {
            assert_eq!(png(&png_head[..n]), None);
        }
        (0..jpeg_head.len()).for_each(|n| assert_eq!(jpeg(&jpeg_head[..n]), None));
        (0..bmp_head.len()).for_each(|n| assert_eq!(bmp(&bmp_head[..n]), None));
    }
}
