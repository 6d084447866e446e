#[test]
fn lab() {
    use super::{area::*, detector::*, pixels::*};
    let d = Detector::new().unwrap();
    let mut r = png::Decoder::new(std::io::BufReader::new(
        std::fs::File::open("../shared/data/faces/astronaut.png").unwrap(),
    ))
    .read_info()
    .unwrap();
    let mut buf = vec![0; r.output_buffer_size().unwrap()];
    let i = r.next_frame(&mut buf).unwrap();
    println!("{i:?}");
    let p = PackedRgb { data: &buf, width: 512, height: 512, stride: 1536 };
    let t = std::time::Instant::now();
    println!("{:?} {:?}", d.detect(&p), t.elapsed());
    for _ in 0..5 {
        let t = std::time::Instant::now();
        d.detect(&p).unwrap();
        println!("{:?}", t.elapsed());
    }
    let y = vec![100u8; 640 * 480];
    let u = vec![90u8; 320 * 240];
    let s = |c, span| vec![Samples { component: c, offset: 0, step: 1, span }];
    let pic = Picture::new(
        vec![
            Plane { data: &y, stride: 640, span: 1, samples: s(0, 1) },
            Plane { data: &u, stride: 320, span: 2, samples: s(1, 2) },
            Plane { data: &u, stride: 320, span: 2, samples: s(2, 2) },
        ],
        (0, 0),
        (640, 480),
        Colour::ycbcr(0.299, 0.114, false),
    )
    .unwrap();
    for (side, size) in [(200, 36), (144, 36), (200, 72), (260, 72)] {
        let mut out = vec![];
        let t = std::time::Instant::now();
        for _ in 0..1000 {
            area_average(&pic, PixelRect { x: 33, y: 35, w: side, h: side }, size, &mut out);
        }
        println!("{side} {size} {:?}", t.elapsed() / 1000);
    }
    let t = std::time::Instant::now();
    let mut out = vec![];
    for _ in 0..100 {
        pic.average(PixelRect { x: 0, y: 0, w: 640, h: 480 }, (320, 240), &mut out);
    }
    println!("frame {:?}", t.elapsed() / 100);
}
