//! What was run, where and when: the first lines of a raw result.

use std::fs;
use std::process::Command;

pub(crate) fn print(arguments: &[String]) {
    let file = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = file("/proc/cpuinfo");
    let mut names = cpuinfo
        .lines()
        .filter_map(|line| line.strip_prefix("model name\t: "));
    let cores = names.clone().count();
    let model = names.next().unwrap_or("unknown");
    println!("commit  {}", said("git", &["rev-parse", "HEAD"]));
    println!(
        "machine {model}, {cores} processors, Linux {}",
        file("/proc/sys/kernel/osrelease").trim()
    );
    let load = file("/proc/loadavg");
    println!(
        "date    {}; load before {}",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        load.split(' ').next().unwrap_or_default()
    );
    println!(
        "command cargo bench --locked --bench resume -- {}\n",
        arguments.join(" ")
    );
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
