//! Runs a network on maps from a file and prints a pulse sample a line: for comparing a training
//! framework's arithmetic with the plugin's.
//!
//! `cargo run --example run_model -- MODEL.onnx MAPS`
//!
//! MAPS holds little-endian 32-bit floats in the network's layout: all motion maps, then as many
//! appearance maps.

use std::error::Error;
use std::path::Path;

use gstheartrate::hrnetinfer::engine::{self, Backend};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(model), Some(maps)) = (args.next(), args.next()) else {
        return Err("usage: run_model MODEL.onnx MAPS".into());
    };
    let engine = engine::load(Some(Path::new(&model)), Backend::Cpu, &|_| None)?;
    let bytes = std::fs::read(maps)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() % (2 * engine.network().map_len()) != 0 {
        return Err("MAPS does not hold as many motion as appearance maps".into());
    }
    let maps: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let (motion, appearance) = maps.split_at(maps.len() / 2);
    for sample in engine.run(motion, appearance)? {
        println!("{sample:.9e}");
    }
    Ok(())
}
