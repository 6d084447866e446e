//! webcam and rtsp: cameras, and servers that stand for them.

use std::time::{Duration, Instant};

use crate::bench::*;

#[test]
fn a_webcam_and_its_copy() {
    let folder = folder("webcam");
    let copy = folder.join("copy.mp4").display().to_string();
    let mut webcam = script("webcam");
    webcam.args(["--source", &face(72, 12), "--no-window", "--copy", &copy]);
    assert_words(&run(&mut webcam), 72.0);
    assert_words(&run(script("file").arg(&copy)), 72.0);
}

#[test]
fn a_webcam_without_a_display_and_without_a_camera() {
    let mut webcam = script("webcam");
    let output = webcam.args(["--source", &face(72, 1), "--json"]).output().unwrap();
    assert_eq!(text(&output.stderr), "webcam: no display: the readings only\n");
    assert!(output.status.success());
    assert_eq!(json_lines(&text(&output.stdout)).len(), 2, "second 0 and the end");
    let said = refused(1, script("webcam").args(["--device", "/dev/nosuchvideo"]));
    assert_eq!(said, "webcam: no camera: /dev/nosuchvideo does not exist");
    refused(1, script("webcam").args(["--device", "/dev/null", "--no-window"]));
    let line = run(script("webcam").args(["--print", "--device", "/dev/null", "--no-window"]));
    assert!(line.contains("'video/x-raw,width=640,height=480;image/jpeg"), "{line}");
}

/// An RTSP server with a face of this rate.
fn serve(port: u16, bpm: u32) -> Running {
    let mut command = std::process::Command::new("/usr/bin/python3");
    let plugin = script("rtsp");
    for (name, value) in plugin.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.env(name, value);
    }
    command.arg(format!("{ROOT}/tests/pipelines/rtsp_server.py"));
    let server = Running::start(command.args([port.to_string(), bpm.to_string()]));
    await_some("the server", 30, || {
        server.heard().first().map(|(_, line)| assert_eq!(line, "serves"))
    });
    server
}

/// Resident memory in MiB of the player that has `url` on its command line.
fn memory(url: &str) -> f64 {
    let of = |id: &str| {
        let words = std::fs::read_to_string(format!("/proc/{id}/cmdline")).ok()?;
        (words.contains("reconnect.py\0") && words.contains(url) && !words.starts_with("timeout"))
            .then(|| std::fs::read_to_string(format!("/proc/{id}/status")).ok())?
    };
    let ids = std::fs::read_dir("/proc").unwrap().map(|e| e.unwrap().file_name());
    let status = ids.filter_map(|id| of(id.to_str()?)).next().expect("the player runs");
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// The least [`memory`] of three seconds: what frames and threads borrow for a moment comes and goes
/// by some MiB, what is lost stays.
fn kept_memory(url: &str) -> f64 {
    let samples = (0..15).map(|_| {
        std::thread::sleep(Duration::from_millis(200));
        memory(url)
    });
    samples.fold(f64::INFINITY, f64::min)
}

/// When the first line with a rate came that is of a time after `since`, and the lines after it.
fn reading(running: &Running, since: Instant) -> Option<(Instant, f64)> {
    let lines = running.heard().into_iter().filter(|(at, _)| *at > since);
    lines.filter_map(|(at, line)| Some((at, bpm(&json_lines(&line)[0])?))).next()
}

/// Waits for a line that comes after now.
fn next_line(running: &Running) {
    let heard = running.heard().len();
    await_some("a line", 25, || (running.heard().len() > heard).then_some(()));
}

#[test]
fn an_rtsp_camera_that_goes_and_comes() {
    let port = free_port();
    let url = format!("rtsp://127.0.0.1:{port}/face");
    let mut server = serve(port, 72);
    let start = Instant::now();
    let running = Running::start(script("rtsp").args(["--json", "--name", "cam", &url]));
    let (_, rate) = await_some("a reading", 25, || reading(&running, start));
    assert!((rate - 72.0).abs() <= 2.0, "{rate}");
    // Allocators and caches grow with the first connections, and not after that.
    for _ in 0..3 {
        drop(server);
        server = serve(port, 72);
        next_line(&running);
        next_line(&running);
    }
    let before = kept_memory(&url);
    drop(server);
    std::thread::sleep(Duration::from_secs(5));
    let gone = running.heard().len();
    server = serve(port, 95);
    let back = Instant::now();
    let (at, rate) = await_some("a reading", 25, || reading(&running, back));
    let pause = (at - back).as_secs_f64();
    assert!(pause <= 12.0 && (rate - 95.0).abs() <= 2.0, "{rate} bpm after {pause} s");
    let grown = kept_memory(&url) - before;
    println!(
        "rtsp: reads {pause:.1} s after the server was back; {before:.0} MiB grew by {grown:.1}"
    );
    assert!(grown <= 6.0, "memory grew by {grown} MiB");
    let first = json_lines(&running.heard()[gone].1).remove(0);
    assert_eq!((first["faces"][0]["id"].as_u64(), bpm(&first)), (Some(1), None), "{first}");
    assert!(first["stream-time"].as_u64().unwrap() < 500_000_000, "{first}");
    drop(running);
    let said = refused(1, script("rtsp").arg(format!("rtsp://127.0.0.1:{port}/nothing")));
    assert!(said.starts_with("rtsp: Not found"), "{said}");
    drop(server);
}

#[test]
fn an_rtsp_camera_that_is_not_there() {
    let url = format!("rtsp://127.0.0.1:{}/face", free_port());
    let said = refused(1, script("rtsp").arg(&url));
    assert!(said.starts_with("rtsp: ") && said.contains("Failed to connect"), "{said}");
    assert!(refused(2, script("rtsp").arg("face.mp4")).contains("is no URL of a camera"));
    // With --wait it goes on trying.
    let mut waiting = command(4, format!("{ROOT}/pipelines/rtsp"));
    let output = waiting.args(["--wait", &url]).output().unwrap();
    let said = text(&output.stderr);
    assert!(said.lines().count() >= 2 && said.contains("again in 1 s"), "{said}");
}

#[test]
fn an_rtsp_camera_that_freezes() {
    let port = free_port();
    let server = serve(port, 72);
    let folder = folder("frozen");
    let said = || std::fs::read_to_string(folder.join("said")).unwrap();
    let mut rtsp = script("rtsp");
    rtsp.args(["--timeout", "2", "--json", &format!("rtsp://127.0.0.1:{port}/face")]);
    let running = Running::start(rtsp.stderr(std::fs::File::create(folder.join("said")).unwrap()));
    next_line(&running);
    server.signal(libc::SIGSTOP);
    await_some("word of it", 20, || said().contains("no picture for 2 s; again").then_some(()));
    server.signal(libc::SIGCONT);
    next_line(&running);
    await_some("word of that", 5, || (said().matches("connected").count() == 2).then_some(()));
}
