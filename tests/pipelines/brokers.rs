//! mqtt and kafka: brokers that are there, that go and come, and that never were.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench::*;

/// mosquitto on `port`, which keeps what it has in `folder`.
fn broker(port: u16, folder: &Path) -> Running {
    let config = folder.join("mosquitto.conf");
    let settings = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
         persistence_location {}/\n",
        folder.display()
    );
    fs::write(&config, settings).unwrap();
    let mosquitto =
        ["/usr/sbin/mosquitto", "mosquitto"].into_iter().find(|p| Path::new(p).exists());
    let mut command = Command::new(mosquitto.unwrap_or("mosquitto"));
    let running =
        Running::start(command.arg("-c").arg(&config).stderr(std::process::Stdio::null()));
    let there = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    await_some("the broker", 20, there);
    running
}

/// A subscriber whose session the broker keeps while it is away.
fn subscriber(port: u16, more: &[&str]) -> Command {
    let mut command = Command::new("mosquitto_sub");
    let port = port.to_string();
    command.args(["-p", &port, "-t", "pulse", "-q", "1", "-c", "-i", "test"]).args(more);
    command
}

/// Stream and second of each line, in their order; the last line of a stream is not at a whole one.
fn keys(lines: &[Value]) -> Vec<(String, u64)> {
    let time = |line: &Value| line["timestamp"].as_u64().unwrap();
    lines.iter().map(|line| (stream(line).to_owned(), time(line))).collect()
}

#[test]
fn mqtt_loses_no_line_while_the_broker_restarts() {
    const SECONDS: u32 = 120;
    let (folder, port) = (folder("mqtt"), free_port());
    let first = broker(port, &folder);
    run(&mut subscriber(port, &["-E"]));
    let received = Running::start(&mut subscriber(port, &[]));
    let mut mqtt = script("mqtt");
    mqtt.args(["--broker", &format!("127.0.0.1:{port}"), "--topic", "pulse", "--name", "a"]);
    mqtt.args(["--name", "b", &face(72, SECONDS), &face(110, SECONDS)]);
    let said = fs::File::create(folder.join("said")).unwrap();
    let running = Running::start(mqtt.stderr(said));
    await_some("some lines", 40, || (received.heard().len() >= 30).then_some(()));
    drop(first);
    // The publisher must have seen it; a client that was sending waits for 15 s.
    let said = || fs::read_to_string(folder.join("said")).unwrap();
    await_some("word of the outage", 40, || said().contains("lines are held").then_some(()));
    let before = received.heard().len();
    let second = broker(port, &folder);
    running.end();
    let expected = 2 * (SECONDS as usize + 1);
    let lines = await_some("all lines", 20, || {
        let lines: String = received.heard().iter().map(|(_, l)| format!("{l}\n")).collect();
        let lines = json_lines(&lines);
        let unique: BTreeSet<_> = keys(&lines).into_iter().collect();
        (unique.len() == expected).then_some(lines)
    });
    drop(second);
    println!("mqtt: {} lines for {expected}, {before} of them before the restart", lines.len());
    assert!(before < expected, "the broker was away while there was something to send");
    assert_rate(&lines, "a", 72.0);
    assert_rate(&lines, "b", 110.0);
    let all = keys(&lines);
    for name in ["a", "b"] {
        let mut newest = None;
        for (_, time) in all.iter().filter(|(stream, _)| stream == name) {
            // A line may come twice, but none comes late.
            let seen = newest.is_some_and(|n| *time <= n);
            assert!(seen || newest.is_none_or(|n| *time <= n + 1_000_000_000), "{name} at {time}");
            newest = newest.max(Some(*time));
        }
    }
    assert_eq!(said().matches("delivering again").count(), 1, "{}", said());
}

#[test]
fn a_broker_that_is_down_is_told_in_a_line() {
    let address = format!("127.0.0.1:{}", free_port());
    let said = refused(1, script("mqtt").args(["--broker", &address, &face(72, 3)]));
    assert_eq!(said, format!("mqtt: {address}: Connection refused"));
    let said = refused(1, script("kafka").args(["--broker", &address, &face(72, 3)]));
    assert!(said.starts_with(&format!("kafka: {address}: ")) && said.contains("down"), "{said}");
    let said = refused(2, script("mqtt").args(["--broker", "here:port", &face(72, 3)]));
    assert!(said.contains("the port is a whole number"), "{said}");
}

#[test]
fn a_broker_that_stays_away_gets_what_is_held_until_patience_ends() {
    let (folder, port) = (folder("patience"), free_port());
    let first = broker(port, &folder);
    let address = format!("127.0.0.1:{port}");
    let mut mqtt = script("mqtt");
    let live = "pulsetestsrc is-live=true num-buffers=90 ! video/x-raw,width=320,height=240";
    mqtt.args(["--broker", &address, "--topic", "pulse", "--patience", "1", live]);
    let received = Running::start(&mut subscriber(port, &[]));
    let running = std::thread::spawn(move || mqtt.output().unwrap());
    await_some("a line", 30, || received.heard().first().cloned());
    drop(first);
    let output = running.join().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("lines are held") && said.contains("lines were not delivered"), "{said}");
}

/// kcat with a broker of librdkafka's own in it, and a copy of what it was handed.
#[test]
fn kafka_gets_every_line() {
    let folder = folder("kafka");
    let kcat = folder.join("kcat");
    let real = "/usr/bin/kcat -X test.mock.num.brokers=1";
    let copy = folder.join("lines");
    let shell =
        format!("#!/bin/sh\necho \"$@\" >>{0}.args\ntee -a {0} | {real} \"$@\"\n", copy.display());
    fs::write(&kcat, shell).unwrap();
    fs::set_permissions(&kcat, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut kafka = script("kafka");
    kafka.env("PATH", path).args(["--topic", "pulse", "--name", "a", "--name", "b"]);
    run(kafka.args([&face(72, 12), &face(110, 12), "--", "-X", "client.id=test"]));
    let lines = json_lines(&fs::read_to_string(&copy).unwrap());
    assert_eq!(lines.len(), 2 * 13);
    assert_rate(&lines, "a", 72.0);
    assert_rate(&lines, "b", 110.0);
    let args = fs::read_to_string(folder.join("lines.args")).unwrap();
    let first = args.lines().next().unwrap();
    let expected =
        "-P -b localhost:9092 -t pulse -X acks=all -X message.timeout.ms=10000 -X client.id=test";
    assert_eq!(first, expected);
}

#[test]
fn lines_of_another_script_are_handed_on() {
    let (folder, port) = (folder("pipe"), free_port());
    let _broker = broker(port, &folder);
    run(&mut subscriber(port, &["-E"]));
    let pipelines = format!("{ROOT}/pipelines");
    let line = format!(
        "'{pipelines}/json' --name a '{}' | '{pipelines}/mqtt' --broker 127.0.0.1:{port} --topic pulse -",
        face(72, 12)
    );
    run(command(60, "bash").args(["-o", "pipefail", "-c", &line]));
    let lines = json_lines(&run(&mut subscriber(port, &["-C", "13", "-W", "20"])));
    assert_rate(&lines, "a", 72.0);
}
