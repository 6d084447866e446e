//! Writes safetensors files: eight bytes of header length, a JSON header, raw little-endian data.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};

/// One tensor, as bytes of its elements.
pub struct Tensor {
    pub name: &'static str,
    /// `F16`, `F32` or `F64`.
    pub dtype: &'static str,
    pub shape: Vec<usize>,
    /// Parts that follow one another.
    pub data: Vec<Vec<u8>>,
}

/// Writes `tensors` to `path`: beside it first, then renamed.
pub fn write(path: &Path, tensors: &[Tensor], metadata: &BTreeMap<&str, String>) -> io::Result<()> {
    let mut header = serde_json::Map::new();
    header.insert("__metadata__".into(), json!(metadata));
    let mut offset = 0;
    for tensor in tensors {
        let end = offset + tensor.data.iter().map(Vec::len).sum::<usize>();
        let entry = json!({
            "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end],
        });
        header.insert(tensor.name.into(), entry);
        offset = end;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    // The data begin at a multiple of eight.
    header.resize(header.len().next_multiple_of(8), b' ');
    let partial = path.with_extension("partial");
    let written = write_data(&partial, &header, tensors);
    written.and_then(|()| std::fs::rename(&partial, path)).inspect_err(|_| {
        // What does not fit on the disk is not left there either.
        let _ = std::fs::remove_file(&partial);
    })
}

fn write_data(path: &Path, header: &[u8], tensors: &[Tensor]) -> io::Result<()> {
    let mut file = io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(header)?;
    for part in tensors.iter().flat_map(|t| &t.data) {
        file.write_all(part)?;
    }
    file.into_inner()?.sync_all()
}

/// The IEEE half-precision number nearest to `value`, ties to even, as bits.
pub fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    if magnitude >= 0x477f_f000 {
        // 65520 and more round to infinity.
        return sign | 0x7c00;
    }
    if magnitude < 0x3880_0000 {
        // Subnormal: multiples of 2^-24; adding 0.5 rounds to them in the mantissa.
        let steps = (f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits();
        return sign | steps as u16;
    }
    // Rebias the exponent by 127 − 15 and round 23 bits of mantissa to 10.
    let rounded = magnitude + 0xfff + ((magnitude >> 13) & 1) - (112 << 23);
    sign | (rounded >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::half;

    /// Value of half-precision bits, from the definition.
    fn value(bits: u16) -> f64 {
        let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
        let (exponent, mantissa) = ((bits >> 10) & 31, (bits & 1023) as f64);
        match exponent {
            0 => sign * mantissa * 2f64.powi(-24),
            31 => sign * f64::INFINITY,
            e => sign * (1.0 + mantissa / 1024.0) * 2f64.powi(e as i32 - 15),
        }
    }

    #[test]
    fn every_half_comes_back_and_what_lies_between_goes_to_the_nearest() {
        for bits in 0..0x7c00u16 {
            let (low, high) = (value(bits), value(bits + 1));
            assert_eq!(half(low as f32), bits);
            assert_eq!(half(-low as f32), bits | 0x8000);
            if bits + 1 < 0x7c00 {
                let even = bits + (bits & 1);
                assert_eq!(half((0.5 * (low + high)) as f32), even);
                assert_eq!(half((0.51 * low + 0.49 * high) as f32), bits);
                assert_eq!(half((0.49 * low + 0.51 * high) as f32), bits + 1);
            }
        }
        assert_eq!([65519.0, 65520.0, f32::INFINITY].map(half), [0x7bff, 0x7c00, 0x7c00]);
        assert_eq!(half(f32::NAN) & 0x7e00, 0x7e00);
    }

    #[test]
    fn a_file_is_read_back() {
        let path = std::env::temp_dir().join(format!("shard-{}.safetensors", std::process::id()));
        let data = vec![1f32.to_le_bytes().to_vec(), 2f32.to_le_bytes().to_vec()];
        let tensor = super::Tensor { name: "a", dtype: "F32", shape: vec![2, 1], data };
        super::write(&path, &[tensor], &[("clips", "[]".to_string())].into()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        assert_eq!(header["a"]["shape"], serde_json::json!([2, 1]));
        assert_eq!(header["a"]["data_offsets"], serde_json::json!([0, 8]));
        assert_eq!(header["__metadata__"]["clips"], "[]");
        assert_eq!(bytes[8 + length..], [0, 0, 128, 63, 0, 0, 0, 64]);
    }
}
