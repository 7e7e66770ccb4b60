//! `peers.md`: what was measured, in tables.

use std::fmt::Write;

use rejoin_arena::Spread;

use super::Report;
use super::limit::{Most, RTT_MAX_MS};

impl Report {
    pub(crate) fn tables(&self) -> String {
        let mut text = self.head();
        self.play_table(&mut text);
        self.rest_table(&mut text);
        self.troubles(&mut text);
        self.versions(&mut text);
        text
    }

    fn head(&self) -> String {
        let plan = &self.plan;
        let kind = match (plan.quick, plan.rough) {
            (true, _) => "**A short try: these figures say nothing.**\n\n",
            (false, true) => "**Rough: disturbed turns are taken in.**\n\n",
            (false, false) => "",
        };
        format!(
            "# Rejoin beside its peers\n\n{kind}What is measured, how each server is set up and what is not alike: \
             `benches/peers/README.md`. Medians of up to {} rounds in turns of {} s, least and most in brackets; \
             ratios are to `raw2` of the same round. Compare within this run only.\n\n\
             - {}; {} MiB; {}\n- commit {}\n- `{}`\n",
            plan.rounds,
            plan.span().as_secs(),
            self.machine.arena,
            self.machine.memory_kib / 1_024,
            self.machine.compiler,
            self.machine.commit,
            self.command,
        )
    }

    fn play_table(&self, text: &mut String) {
        let title = format!(
            "{} players in rooms of 16, full snapshots",
            self.plan.players
        );
        let columns = [
            "server",
            "cipher",
            "turns",
            "CPU us/player/s",
            "x raw2",
            "ns/message",
            "wire B/player/s",
            "RTT p50 / p99 ms",
        ];
        begin(text, &title, &columns);
        for peer in &self.peers {
            let cells = self.summary(peer).map(|it| {
                [
                    it.turns.to_string(),
                    spread(Some(it.cpu_us), 1),
                    spread(it.ratio, 2),
                    format!("{:.0}", it.ns_per_message),
                    format!("{:.0}", it.wire_bytes),
                    format!("{:.2} / {:.2}", it.rtt_p50_ms, it.rtt_p99_ms),
                ]
            });
            let cells = cells.unwrap_or_else(|| std::array::from_fn(|_| "-".to_owned()));
            row(text, &[peer.name(), peer.cipher], &cells);
        }
    }

    fn rest_table(&self, text: &mut String) {
        let columns = [
            "server",
            "most players of a core (CPU < 90 %, p99 < 10 ms)",
            "KiB per idle session",
            "KiB per player",
            "CPU us per join",
            "joins/s seen",
        ];
        begin(text, "Limits, memory, joins", &columns);
        for peer in &self.peers {
            let mut most = self.most.iter().filter(|most| most.server == peer.name());
            let most = most.next().map_or("-".to_owned(), Most::cell);
            let active = self.summary(peer).map(|it| it.kib_per_player);
            let cells = [
                most,
                spread(self.idle_kib(peer), 2),
                active.map_or("-".to_owned(), |kib| format!("{kib:.1}")),
                spread(self.join_us(peer), 1),
                spread(self.joins_seen(peer), 0),
            ];
            row(text, &[peer.name()], &cells);
        }
        add(text, "\nWhy no more players:\n\n");
        for most in &self.most {
            add(text, &format!("- `{}`: {}\n", most.server, most.ended));
        }
    }

    fn troubles(&self, text: &mut String) {
        let disturbed = self.turns.iter().filter_map(|turn| {
            let why = turn.invalid.as_ref()?;
            Some((turn.server, format!("round {}: {why}", turn.round)))
        });
        let told = |failure: &super::Failure| (failure.server, failure.what.clone());
        let troubles = self.left_out.iter().map(told);
        let troubles = troubles.chain(self.failures.iter().map(told));
        let troubles: Vec<_> = troubles.chain(disturbed).collect();
        if troubles.is_empty() {
            return;
        }
        let kept = if self.plan.rough {
            "taken in"
        } else {
            "left out of medians"
        };
        add(text, "\n## What was left out or disturbed\n\n");
        add(text, &format!("Disturbed rounds are {kept}.\n\n"));
        for (server, what) in troubles {
            let what = what.lines().next().unwrap_or_default();
            add(text, &format!("- `{server}`: {what}\n"));
        }
    }

    fn versions(&self, text: &mut String) {
        let versions = self.machine.versions.iter();
        let versions: Vec<String> = versions.map(|(name, it)| format!("{name} {it}")).collect();
        add(text, &format!("\nVersions: {}.\n", versions.join(", ")));
    }
}

impl Most {
    /// With the bound, where it is another than that of the title.
    fn cell(&self) -> String {
        match self.players {
            Some(players) if self.rtt_max_ms > RTT_MAX_MS => {
                format!("{players} (p99 < {:.1} ms)", self.rtt_max_ms)
            }
            Some(players) => players.to_string(),
            None => "-".to_owned(),
        }
    }
}

fn begin(text: &mut String, title: &str, columns: &[&str]) {
    let line = vec!["---"; columns.len()].join("|");
    let columns = columns.join(" | ");
    add(text, &format!("\n## {title}\n\n| {columns} |\n|{line}|\n"));
}

fn row(text: &mut String, names: &[&str], cells: &[String]) {
    let cells = cells.iter().map(String::as_str);
    let all: Vec<&str> = names.iter().copied().chain(cells).collect();
    add(text, &format!("| {} |\n", all.join(" | ")));
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or("-".to_owned(), |it| {
        format!(
            "{:.digits$} [{:.digits$}-{:.digits$}]",
            it.median, it.least, it.most
        )
    })
}

fn add(text: &mut String, more: &str) {
    text.write_str(more).expect("a string takes all");
}
