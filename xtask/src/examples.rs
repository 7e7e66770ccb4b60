//! `cargo xtask examples`: the programs of `docs/permits.md` mint permits, as they stand there, and a
//! real server takes them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::documents::block;
use crate::product::{Folder, Product, Server, run};

/// A language that the page has a program in.
struct Language {
    /// As its fence says.
    name: &'static str,
    /// As the page calls the file.
    file: &'static str,
    /// Interpreters to try, best first.
    interpreters: &'static [&'static str],
    /// What an interpreter must be able to do.
    probe: &'static [&'static str],
    /// What to install if none can.
    needs: &'static str,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "python",
        file: "mint.py",
        // The system's own has Debian's packages, even if another one comes first.
        interpreters: &["python3", "/usr/bin/python3"],
        probe: &["-c", "import cryptography"],
        needs: "python3 with the package cryptography (Debian: python3-cryptography)",
    },
    Language {
        name: "javascript",
        file: "mint.js",
        interpreters: &["node", "nodejs"],
        probe: &["--version"],
        needs: "Node (Debian: nodejs)",
    },
    Language {
        name: "java",
        file: "Mint.java",
        interpreters: &["java"],
        probe: &["--describe-module", "jdk.compiler"],
        needs: "a JDK of version 17 or later (Debian: openjdk-17-jdk-headless)",
    },
];

/// Seconds for which the examples mint.
const LIFETIME_S: u64 = 600;

/// Runs every example. An interpreter that is not there is an error.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    crate::say("\n== examples of docs/permits.md");
    let page = std::fs::read_to_string(root.join("docs/permits.md"))
        .map_err(|error| format!("docs/permits.md: {error}"))?;
    let mut interpreters = Vec::new();
    for language in &LANGUAGES {
        let found = language.interpreter();
        interpreters.push(found.ok_or_else(|| format!("examples need {}", language.needs))?);
    }
    let product = Product::build(root)?;
    let folder = Folder::new("examples")?;
    let house = House::open(&product, &folder)?;
    for (language, interpreter) in LANGUAGES.iter().zip(interpreters) {
        let program = block(&page, language.name);
        let program = program.ok_or_else(|| format!("no {} in the page", language.name))?;
        folder.write(language.file, &program)?;
        let credentials = house.mint(language, interpreter)?;
        house.try_out(language.name, &credentials)?;
        crate::say(&format!(
            "{}: minted by {interpreter}, admitted",
            language.file
        ));
    }
    Ok(())
}

impl Language {
    fn interpreter(&self) -> Option<&'static str> {
        let works = |program: &&&str| {
            let probe = Command::new(**program)
                .args(self.probe)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            probe.is_ok_and(|status| status.success())
        };
        self.interpreters.iter().find(works).copied()
    }
}

/// A server on loopback that shares its permit keys with the examples.
struct House<'a> {
    product: &'a Product,
    folder: &'a Folder,
    data: String,
    /// As a backend gets it.
    key: String,
    server: Server,
}

impl<'a> House<'a> {
    fn open(product: &'a Product, folder: &'a Folder) -> Result<Self, String> {
        let data = folder.path("data").display().to_string();
        let token = ["--auth", "token", "--data", &data];
        let bind = ["serve", "--bind", "127.0.0.1:0"];
        let server = Server::start(product.command(&[&bind[..], &token].concat()))?;
        let keys = std::fs::read_to_string(folder.path("data/permit.keys"))
            .map_err(|error| format!("permit.keys: {error}"))?;
        let key = keys.lines().next().unwrap_or_default().to_owned();
        Ok(Self {
            product,
            folder,
            data,
            key,
            server,
        })
    }

    /// Runs the program of the page.
    fn mint(&self, language: &Language, interpreter: &str) -> Result<String, String> {
        let mut command = Command::new(interpreter);
        command.arg(self.folder.path(language.file)).arg("ana");
        command.env("PERMIT_KEY", &self.key);
        let minted = run(command, "")?.expect(language.file, 0, &[])?;
        Ok(minted.stdout.trim_end().to_owned())
    }

    /// Good as minted, and refused once a byte is changed.
    fn try_out(&self, what: &str, credentials: &str) -> Result<(), String> {
        let says = [
            "mints here",
            "player   ana\n",
            "its secret is in this text",
            "claims   team=red\n",
        ];
        let good = self.inspect(credentials)?.expect(what, 0, &says)?;
        check_expiry(what, &good.stdout)?;
        let played = self.play(credentials)?;
        played.expect(what, 0, &["1 of 1 took a seat", "all held"])?;

        let changed = change_a_byte(credentials);
        let forged = "is not sealed with permit key";
        let what = format!("{what}, changed");
        self.inspect(&changed)?.expect(&what, 1, &[forged])?;
        self.play(&changed)?.expect(&what, 7, &[forged])?;
        Ok(())
    }

    fn inspect(&self, credentials: &str) -> Result<crate::product::Ended, String> {
        let arguments = ["token", "inspect", "-", "--data", &self.data];
        run(self.product.command(&arguments), credentials)
    }

    fn play(&self, credentials: &str) -> Result<crate::product::Ended, String> {
        self.folder.write("permits", credentials)?;
        let file = self.folder.path("permits").display().to_string();
        let permits = ["--permits", &file, "--for", "1s"];
        let bots = ["bots", &self.server.address];
        run(self.product.command(&[&bots[..], &permits].concat()), "")
    }
}

/// A number with its bytes in the wrong order would never expire, and nobody would notice.
fn check_expiry(what: &str, inspected: &str) -> Result<(), String> {
    let line = inspected
        .lines()
        .find_map(|line| line.strip_prefix("expires  in "));
    let left = line.and_then(|line| line.split(' ').next()?.parse().ok());
    match left {
        Some(left) if (LIFETIME_S / 2..=LIFETIME_S).contains(&left) => Ok(()),
        _ => Err(format!(
            "{what}: it does not expire in {LIFETIME_S} s\n{inspected}"
        )),
    }
}

/// Another letter within the sealed grant, which begins after 17 bytes or 23 letters.
fn change_a_byte(credentials: &str) -> String {
    let change = |(index, letter)| match (index, letter) {
        (40, 'A') => 'B',
        (40, _) => 'A',
        _ => letter,
    };
    credentials.chars().enumerate().map(change).collect()
}
