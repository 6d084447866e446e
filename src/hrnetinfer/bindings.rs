//! What a network's inputs and output must be, read from an engine or a graph.

use super::engine::EngineError;
use super::maps::Layout;

/// An input or output of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub input: bool,
    pub kind: Kind,
    /// −1 where it is open.
    pub shape: Vec<i64>,
    /// The largest batch where that is open.
    pub max_batch: i64,
}

/// Type of a tensor's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Float,
    Half,
    Other(i32),
}

/// Inputs and output of a network, in their roles.
#[derive(Clone, Debug, PartialEq)]
pub struct Bindings {
    pub motion: Tensor,
    pub appearance: Tensor,
    pub output: Tensor,
    pub layout: Layout,
    /// Side of the maps in pixels.
    pub size: usize,
    /// Pairs of each run, where that is fixed.
    pub fixed: Option<usize>,
    /// The most pairs of a run.
    pub max_batch: usize,
}

impl Bindings {
    pub fn find(tensors: &[Tensor]) -> Result<Bindings, EngineError> {
        let wrong = || EngineError::Shape(describe(tensors));
        let (inputs, outputs): (Vec<&Tensor>, Vec<&Tensor>) = tensors.iter().partition(|t| t.input);
        let (&[first, second], &[output]) = (&inputs[..], &outputs[..]) else {
            return Err(wrong());
        };
        let lower = |t: &Tensor| t.name.to_ascii_lowercase();
        let swapped = lower(first).contains("appearance") || lower(second).contains("motion");
        let [motion, appearance] = if swapped { [second, first] } else { [first, second] };
        let maps = maps(motion).ok_or_else(wrong)?;
        if maps != self::maps(appearance).ok_or_else(wrong)? {
            return Err(wrong());
        }
        let (layout, size) = maps;
        let each: i64 = output.shape.get(1..).unwrap_or_default().iter().product();
        let batch = motion.shape[0];
        let max_batch = motion.max_batch.min(appearance.max_batch);
        let other = [appearance.shape[0], output.shape.first().copied().unwrap_or(batch)];
        let known = [motion, appearance, output].iter().all(|t| !matches!(t.kind, Kind::Other(_)));
        if each != 1 || !known || other != [batch; 2] || !(1..=1024).contains(&max_batch) {
            return Err(wrong());
        }
        Ok(Bindings {
            motion: motion.clone(),
            appearance: appearance.clone(),
            output: output.clone(),
            layout,
            size,
            fixed: (batch > 0).then_some(batch as usize),
            max_batch: max_batch as usize,
        })
    }
}

/// Layout and size of an input: batch x 3 x S x S or batch x S x S x 3, with dimensions of one, as
/// the time of a single frame, passed over.
fn maps(tensor: &Tensor) -> Option<(Layout, usize)> {
    let [_, rest @ ..] = &tensor.shape[..] else { return None };
    let rest: Vec<i64> = rest.iter().copied().filter(|d| *d != 1).collect();
    let (layout, size) = match rest[..] {
        [3, h, w] if h == w => (Layout::Nchw, h),
        [h, w, 3] if h == w => (Layout::Nhwc, h),
        _ => return None,
    };
    (size == 36 || size == 72).then_some((layout, size as usize))
}

/// The tensors in words.
fn describe(tensors: &[Tensor]) -> String {
    let one = |t: &Tensor| {
        let dims = t.shape.iter().map(|d| match d {
            -1 => "batch".to_string(),
            d => d.to_string(),
        });
        let kind = match t.kind {
            Kind::Float => "float".to_string(),
            Kind::Half => "half".to_string(),
            Kind::Other(number) => format!("type {number}"),
        };
        let role = if t.input { "input" } else { "output" };
        format!("{role} {} {kind} [{}]", t.name, dims.collect::<Vec<_>>().join(" x "))
    };
    let all: Vec<String> = tensors.iter().map(one).collect();
    format!("the network has {}", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, input: bool, shape: &[i64]) -> Tensor {
        let shape = shape.to_vec();
        Tensor { name: name.into(), input, kind: Kind::Half, shape, max_batch: 16 }
    }

    fn find(motion: &[i64], appearance: &[i64], output: &[i64]) -> Result<Bindings, EngineError> {
        Bindings::find(&[
            tensor("appearance_input", true, appearance),
            tensor("lambda_1/Squeeze", false, output),
            tensor("motion_input", true, motion),
        ])
    }

    #[test]
    fn roles_layouts_and_batches_are_found() {
        let found = find(&[-1, 3, 72, 72], &[-1, 1, 3, 72, 72], &[-1]).unwrap();
        assert_eq!((&found.motion.name[..], found.layout), ("motion_input", Layout::Nchw));
        assert_eq!((found.size, found.fixed, found.max_batch), (72, None, 16));
        let mut fixed = [[4, 36, 36, 3]; 2].map(|s| tensor("x", true, &s)).to_vec();
        fixed.push(tensor("y", false, &[4, 1]));
        fixed.iter_mut().for_each(|t| t.max_batch = 4);
        let found = Bindings::find(&fixed).unwrap();
        assert_eq!((found.layout, found.size, found.fixed), (Layout::Nhwc, 36, Some(4)));
    }

    #[test]
    fn another_network_is_refused_by_what_it_has() {
        let ok = [-1, 3, 36, 36];
        for (motion, appearance, output) in [
            (&[-1, 3, 40, 40][..], &[-1, 3, 40, 40][..], &[-1, 1][..]),
            (&ok, &[-1, 3, 72, 72], &[-1, 1]),
            (&ok, &ok, &[-1, 2]),
            (&ok, &ok, &[4, 1]),
            (&[], &ok, &[-1]),
            (&[-1, 3, -1, -1], &[-1, 3, -1, -1], &[-1]),
        ] {
            let error = find(motion, appearance, output).unwrap_err().to_string();
            assert!(error.contains("input motion_input half ["), "{error}");
        }
        let one = [tensor("input", true, &ok), tensor("output", false, &[-1])];
        let error = Bindings::find(&one).unwrap_err().to_string();
        assert!(
            error.starts_with("the network has input input half [batch x 3 x 36 x 36], output")
        );
    }
}
