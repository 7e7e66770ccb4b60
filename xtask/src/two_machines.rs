//! `cargo xtask two-machines`: a server that strangers can reach, and a player on another machine, by
//! the two commands of the README.
//!
//! The machines are network namespaces of Linux with one cable between them. Nothing in them reaches
//! the real network. They are removed at the end; what a killed run left, the next one removes.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::capture::capture;
use crate::documents::{block, section};
use crate::product::{Ended, Folder, Product, Server, run};

const HEADING: &str = "## Open it to strangers";
/// Private addresses (RFC 1918), which nothing outside of the two namespaces sees.
const SERVER: &str = "10.77.0.1";
const CLIENT: &str = "10.77.0.2";
const PORT: &str = "7777";
/// Names of namespaces begin so; the maker's process id follows.
const PREFIX: &str = "rejoin-two-machines-";

/// The command that looks at every port of the server, run on the client's machine.
const SCAN: &str = "scan";

/// In the gate: what this machine cannot do is told and left out.
pub(crate) fn check_if_possible(root: &Path) -> Result<(), String> {
    match Cable::lay() {
        Ok(cable) => check_on(root, &cable),
        Err(problem) => {
            crate::say(&format!("\n== two machines: not run here: {problem}"));
            Ok(())
        }
    }
}

/// Runs everything, or says why this machine cannot.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    check_on(root, &Cable::lay()?)
}

fn check_on(root: &Path, cable: &Cable) -> Result<(), String> {
    crate::say("\n== two machines");
    let product = Product::build(root)?;
    let folder = Folder::new("two-machines")?;
    let data = folder.path("data").display().to_string();
    let readme = std::fs::read_to_string(root.join("README.md"))
        .map_err(|error| format!("README.md: {error}"))?;
    let [serve, join] = commands(&readme)?;
    let fill = |command: &str| command.replace("HOST", SERVER).replace("DIR", &data);

    dev_auth_is_refused(&product, cable)?;
    let words = fill(&serve);
    let words: Vec<_> = words.split_whitespace().collect();
    let server = Server::start(cable.on(Machine::Server, &product, &words))?;
    let key = run(product.command(&["key", "--data", &data]), "")?.expect("key", 0, &[])?;
    let key = key.stdout.lines().next().unwrap_or_default().to_owned();
    let address = format!("rejoin://{key}@{SERVER}:{PORT}");
    if server.address != address {
        return Err(format!("the server is {}, not {address}", server.address));
    }

    let join = fill(&join).replace("KEY", &key);
    let player = run(
        cable.on(Machine::Client, &product, &["sh", "-c", &join]),
        "",
    )?;
    player.expect(&join, 0, &["1 of 1 took a seat", "all held"])?;
    crate::say("a player with a permit joined from the other machine");

    let stranger = ["rejoin", "bots", &address, "-n", "1", "--for", "1s"];
    let stranger = run(cable.on(Machine::Client, &product, &stranger), "")?;
    stranger.expect("without a permit", 7, &["only permits"])?;
    crate::say("a player without one was refused");

    only_the_game_listens(&product, cable)
}

/// The README's two lines: what serves, and what joins.
fn commands(readme: &str) -> Result<[String; 2], String> {
    let found = section(readme, HEADING).and_then(|section| block(section, "sh"));
    let found = found.ok_or_else(|| format!("no commands under `{HEADING}` in README.md"))?;
    let lines: Vec<_> = found.lines().map(str::to_owned).collect();
    let wrong = |lines: Vec<_>| format!("{} commands under `{HEADING}`, not 2", lines.len());
    lines.try_into().map_err(wrong)
}

/// The same bind without permits ends at once and names the way out.
fn dev_auth_is_refused(product: &Product, cable: &Cable) -> Result<(), String> {
    let bind = format!("{SERVER}:{PORT}");
    let command = cable.on(
        Machine::Server,
        product,
        &["rejoin", "serve", "--bind", &bind],
    );
    let serve = format!("`rejoin serve --bind {bind} --auth token`");
    let join = format!("| rejoin bots rejoin://KEY@HOST:{PORT} --permits -`");
    let words = [&serve, "`rejoin token mint --player", &join];
    let refused = run(command, "")?.expect("dev auth", 2, &words)?;
    if refused.stderr.lines().count() != 1 {
        return Err(format!("dev auth: not one line\n{}", refused.stderr));
    }
    crate::say("dev auth on a public address was refused with both commands");
    Ok(())
}

fn only_the_game_listens(product: &Product, cable: &Cable) -> Result<(), String> {
    let mut open = BTreeSet::new();
    for (table, protocol) in [
        ("udp", "UDP"),
        ("udp6", "UDP"),
        ("tcp", "TCP"),
        ("tcp6", "TCP"),
    ] {
        let file = format!("/proc/net/{table}");
        let table = run(cable.on(Machine::Server, product, &["cat", &file]), "")?;
        let table = table.expect(&file, 0, &["local_address"])?;
        open.extend(
            ports(&table)?
                .iter()
                .map(|port| format!("{protocol} {port}")),
        );
    }
    let scanner = std::env::current_exe().map_err(|error| format!("xtask: {error}"))?;
    let scanner = scanner.display().to_string();
    let scan = run(
        cable.on(Machine::Client, product, &[&scanner, SCAN, SERVER]),
        "",
    )?;
    let scan = scan.expect(SCAN, 0, &["scanned"])?;
    let answers = scan.stdout.lines().filter(|line| line.starts_with("TCP "));
    open.extend(answers.map(str::to_owned));
    let expected = BTreeSet::from([format!("UDP {PORT}")]);
    if open != expected {
        return Err(format!("the server's machine listens on {open:?}"));
    }
    crate::say("the server's machine listens on the game's port and on no other");
    Ok(())
}

/// The ports in one table of `/proc/net`. The server's namespace is ours alone, so that every line in
/// it is its own.
fn ports(table: &Ended) -> Result<Vec<u16>, String> {
    let port = |line: &str| {
        let (_, port) = line.split_whitespace().nth(1)?.split_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let read = |line: &str| port(line).ok_or_else(|| format!("cannot read {line:?}"));
    table.stdout.lines().skip(1).map(read).collect()
}

/// `cargo xtask scan ADDRESS`: prints each TCP port that takes a connection.
pub(crate) fn scan(host: Option<&str>) -> Result<(), String> {
    let host = host.and_then(|host| host.parse().ok());
    let host = host.ok_or("usage: cargo xtask scan ADDRESS")?;
    for port in 1..=u16::MAX {
        let to = SocketAddr::new(host, port);
        match TcpStream::connect_timeout(&to, Duration::from_secs(1)) {
            Ok(_) => crate::say(&format!("TCP {port}")),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(error) => return Err(format!("{to}: {error}")),
        }
    }
    crate::say("scanned");
    Ok(())
}

#[derive(Clone, Copy)]
enum Machine {
    Server,
    Client,
}

/// Two namespaces and the cable between them, removed when this is dropped.
struct Cable {
    server: String,
    client: String,
}

impl Cable {
    fn lay() -> Result<Self, String> {
        if !cfg!(target_os = "linux") {
            return Err("network namespaces are Linux's".to_owned());
        }
        let here = Path::new("/");
        if capture(here, "id", &["-u"])?.trim() != "0" {
            return Err("it takes root to make network namespaces".to_owned());
        }
        remove_stale()?;
        let name = |end| format!("{PREFIX}{}-{end}", std::process::id());
        let cable = Self {
            server: name("server"),
            client: name("client"),
        };
        let Self { server, client } = &cable;
        ip(&format!("netns add {server}"))?;
        ip(&format!("netns add {client}"))?;
        // Made inside of them: the machine's own namespace never sees it.
        let ends = format!("game netns {server} type veth peer name game netns {client}");
        ip(&format!("link add name {ends}"))?;
        for (netns, address) in [(server, SERVER), (client, CLIENT)] {
            ip(&format!("-n {netns} addr add {address}/24 dev game"))?;
            ip(&format!("-n {netns} link set lo up"))?;
            ip(&format!("-n {netns} link set game up"))?;
        }
        Ok(cable)
    }

    /// A command on one of the machines, where `rejoin` is installed.
    fn on(&self, machine: Machine, product: &Product, words: &[&str]) -> Command {
        let netns = match machine {
            Machine::Server => &self.server,
            Machine::Client => &self.client,
        };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns]).args(words);
        product.prepare(&mut command);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for netns in [&self.server, &self.client] {
            // One that was not made cannot be removed, and that is well.
            drop(run(ip_command(&format!("netns del {netns}")), ""));
        }
    }
}

/// Removes what a run left that was killed.
fn remove_stale() -> Result<(), String> {
    let list = ip("netns list")?;
    let names = list
        .lines()
        .filter_map(|line| line.split_whitespace().next());
    for name in names {
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        let Some(maker) = maker else { continue };
        if !Path::new("/proc").join(maker).exists() {
            for process in ip(&format!("netns pids {name}"))?.lines() {
                drop(Command::new("kill").arg(process).status());
            }
            ip(&format!("netns del {name}"))?;
        }
    }
    Ok(())
}

fn ip(words: &str) -> Result<String, String> {
    let ended = run(ip_command(words), "")?;
    Ok(ended.expect(&format!("ip {words}"), 0, &[])?.stdout)
}

fn ip_command(words: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(words.split_whitespace());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_holds_the_two_commands() {
        let readme = include_str!("../../README.md");
        let [serve, join] = commands(readme).unwrap();
        assert!(
            serve.starts_with("rejoin serve --bind HOST:7777"),
            "{serve}"
        );
        assert!(join.starts_with("rejoin token mint --player"), "{join}");
    }

    #[test]
    fn other_than_two_commands_are_told() {
        let page = |commands: &str| format!("{HEADING}\n\n```sh\n{commands}\n```\n");
        assert!(commands(&page("one\ntwo")).is_ok());
        assert!(commands(&page("one")).is_err());
        assert!(commands("## Another heading\n").is_err());
    }
}
