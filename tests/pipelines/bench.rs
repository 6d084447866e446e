//! What the tests of the scripts share: a plugin of today, runs that end, servers that are killed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A test face at 72 beats per minute, `seconds` long.
pub fn face(bpm: u32, seconds: u32) -> String {
    let frames = 15 * seconds;
    format!(
        "pulsetestsrc bpm={bpm} num-buffers={frames} ! video/x-raw,width=320,height=240,framerate=15/1"
    )
}

/// An empty folder of this test's own.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipelines").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A folder with nothing but the plugin that was built for this test.
fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let folder = folder("plugin");
        let built = Path::new(env!("CARGO_BIN_EXE_hrnet")).with_file_name("deps");
        let library = "libgstheartrate.so";
        std::fs::copy(built.join(library), folder.join(library)).expect("the library was built");
        folder
    })
}

/// `program`, which is killed with all its children after `seconds`.
pub fn command(seconds: u32, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("timeout");
    command.arg("--kill-after=5").arg(seconds.to_string()).arg(program);
    command.env("GST_PLUGIN_PATH", plugin()).env("GST_REGISTRY", plugin().join("registry.bin"));
    command.env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// A script of pipelines/.
pub fn script(name: &str) -> Command {
    command(90, format!("{ROOT}/pipelines/{name}"))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a command that must end well; what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    text(&output.stdout)
}

/// Runs a command that must fail with `code` and one line on stderr; the line.
pub fn refused(code: i32, command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = text(&stderr);
    assert_eq!(status.code(), Some(code), "{command:?}: {said}");
    assert_eq!(said.matches('\n').count(), 1, "{command:?}: {said}");
    said.trim_end().to_owned()
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"))).collect()
}

pub fn stream(line: &Value) -> &str {
    line["stream"].as_str().unwrap()
}

/// The rate of the first face of a line.
pub fn bpm(line: &Value) -> Option<f64> {
    line["faces"][0]["bpm"].as_f64()
}

/// Asserts that the last line of `stream` has the rate.
pub fn assert_rate(lines: &[Value], name: &str, expected: f64) {
    let last = lines.iter().rfind(|line| stream(line) == name);
    let last = last.unwrap_or_else(|| panic!("no line of {name} in {lines:?}"));
    let read = bpm(last).unwrap_or_else(|| panic!("no rate: {last}"));
    assert!((read - expected).abs() <= 1.0, "{read} is not {expected}: {last}");
}

/// Asserts that what was printed for people ends with the rate.
pub fn assert_words(words: &str, expected: f64) {
    let last = words.lines().last().expect("something was printed");
    let rate = last.split(" bpm").next().and_then(|head| head.split(' ').next_back());
    let read: f64 = rate.unwrap().parse().unwrap_or_else(|_| panic!("no rate in {last:?}"));
    assert!((read - expected).abs() <= 1.0 && last.contains("face 1"), "{words}");
}

/// Asserts that `condition` comes true within `seconds`; what it gave.
pub fn await_some<T>(what: &str, seconds: u64, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(start.elapsed() < Duration::from_secs(seconds), "{what} within {seconds} s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

type Heard = Arc<Mutex<Vec<(Instant, String)>>>;

/// A process with its children; killed when it goes out of scope.
pub struct Running {
    child: Child,
    /// Lines of its standard output, with the time when they came.
    heard: Heard,
}

impl Running {
    pub fn start(command: &mut Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let heard = Heard::default();
        let kept = heard.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                kept.lock().unwrap().push((Instant::now(), line));
            }
        });
        Running { child, heard }
    }

    pub fn heard(&self) -> Vec<(Instant, String)> {
        self.heard.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a plain system call; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end, which must be a good one.
    pub fn end(mut self) {
        let status = await_some("the end", 90, || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // `timeout` makes a group of its own for its child: end it in an orderly way first.
        self.signal(libc::SIGTERM);
        for _ in 0..40 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // SAFETY: as above; the group is the child's own.
        unsafe { libc::kill(-(self.child.id() as i32), libc::SIGKILL) };
        let _ = self.child.wait();
    }
}
