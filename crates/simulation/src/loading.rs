//! Players whose clients load: they say so, are silent or not, and are done in time or too late.

use crate::cast::Body;
use crate::faults::Load;
use crate::model::Watched;
use crate::report::Violation;
use crate::wiring::{Happening, Wiring};

/// A player's client begins to load, if it plays and does not load already.
pub(crate) fn begin(wiring: &mut Wiring, player: usize, load: Load) -> Result<(), Violation> {
    let Wiring { scene, cast, .. } = wiring;
    let Some(number) = cast.playing(player) else {
        return Ok(());
    };
    let Some(id) = cast.player(player).id else {
        return Ok(());
    };
    let now = scene.now;
    let client = cast.client_mut(number);
    if client.loading || !client.is_active() {
        return Ok(());
    }
    let told = client.core.loading(load.span);
    told.map_err(|error| Violation::new("an open session can load", error.to_string()))?;
    // A second load may not be granted so soon after the first.
    if load.watched && client.loads == 0 {
        let watched = Watched {
            client: number,
            at: now,
        };
        scene.loads.watch(player, watched);
    }
    client.loading = true;
    client.loads += 1;
    scene.counters.loads += 1;
    scene.loads.announced(id, load.span, now);
    // The notice leaves before the work begins.
    wiring.drain(number)?;
    let done = now + load.lasts;
    if load.silent {
        wiring.cast.client_mut(number).body = Body::Silent;
        wiring.queue.push(done, Happening::Rouse { client: number });
    }
    let over = Happening::LoadOver {
        client: number,
        says_done: load.says_done,
    };
    wiring.queue.push(done, over);
    Ok(())
}

/// A client has loaded. If it does not say so, its time runs out.
pub(crate) fn end(wiring: &mut Wiring, number: usize, says_done: bool) -> Result<(), Violation> {
    let client = wiring.cast.client_mut(number);
    client.loading = false;
    if says_done && client.can_play() && client.is_active() {
        let told = client.core.loaded();
        told.map_err(|error| Violation::new("an open session can load", error.to_string()))?;
    }
    wiring.drain(number)
}
