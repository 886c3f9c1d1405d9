//! Episodes: a fresh chain with one protocol, ordinary use, look-alikes and sometimes an attack.
//!
//! Every transaction runs through the guard's own simulation and feature code before it is mined, so a row of the
//! data set is what the guard would have asked its model. Whether a transaction did harm is measured, not
//! declared: the protocol owns less of what it owes than before.

mod attack;
mod benign;
mod first_key;
mod fresh;
mod protocols;
mod script;
mod show;
mod world;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis_models::data::{Dataset, Origin, Row};
use portcullis_models::random::Random;
use portcullis_models::schema::{CONTRACT, Schema, TRANSACTION};
use portcullis_watcher::simulate::SimError;
use portcullis_watcher::state::StateError;

pub use self::show::{Cast, Shown, protocol_names, show};

use self::protocols::Kind;
use self::world::World;

/// Name of this generator, as data sets say it.
pub const GENERATOR: &str = "portcullis-range";
/// Counted up whenever the same seed gives other rows.
pub const GENERATOR_VERSION: &str = "3";

/// Transactions of an episode, apart from what sets them up.
const STEPS: usize = 22;
/// Part of the episodes in which the protocol has the flaw.
const FLAWED_SHARE: f64 = 0.65;
/// Steps from one attack to the next in the attacked episodes of all protocols.
const ATTACK_EVERY: usize = 7;
/// Part of the episodes in which somebody attacks, with or without success.
const ATTACKED_SHARE: f64 = 0.7;

/// Why episodes could not be played.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RangeError {
    /// Nothing in the range has that name.
    #[error("the range has no protocol `{name}`; there are: {}", protocol_names().collect::<Vec<_>>().join(", "))]
    Protocol {
        /// What was asked for.
        name: String,
    },
    /// A transaction could not be simulated.
    #[error("episode {episode}: {source}")]
    Simulation {
        /// Which episode.
        episode: u64,
        /// Why not.
        source: Box<SimError>,
    },
    /// A transaction could not be mined.
    #[error("episode {episode}: {source}")]
    State {
        /// Which episode.
        episode: u64,
        /// Why not.
        source: Box<StateError>,
    },
}

/// What the episodes of a data set protect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The ether vault alone.
    EtherVault,
    /// One of the protocols each, every one with its own flaw and its own look-alikes: what the model that ships was
    /// trained on.
    AllProtocols,
}

impl Scope {
    /// Name of the generator, as data sets say it.
    pub fn generator(self) -> &'static str {
        match self {
            Self::EtherVault => GENERATOR,
            Self::AllProtocols => "portcullis-range-all-protocols",
        }
    }
}

/// Plays `episodes` episodes and collects a row for every transaction that touches the protected protocol.
///
/// The same scope, seed and number give the same rows.
///
/// # Errors
/// [`RangeError`] when the chain in memory refuses a transaction, which is a bug in an episode.
pub fn generate(scope: Scope, seed: u64, episodes: u64) -> Result<Dataset, RangeError> {
    let rows = play_all(0..episodes, |episode| Ok(play(scope, seed, episode, true)?.rows))?;
    Ok(dataset(&TRANSACTION, scope, seed, rows))
}

/// The episodes of [`generate`] with so many times as many harmless calls around what is padded, the rows of attacks that
/// are alone: for evasion. More than some tens of times do not fit into a transaction.
///
/// # Errors
/// As [`generate`].
pub fn generate_padded(
    scope: Scope,
    seed: u64,
    episodes: u64,
    padding: f64,
) -> Result<Dataset, RangeError> {
    let rows = play_all(0..episodes, |episode| {
        let mut opened = open(scope, seed, episode, true)?;
        opened.world.padding = padding;
        let mut rows = act(scope, opened)?.rows;
        rows.retain(|row| row.intent && row.family.ends_with("/padded"));
        Ok(rows)
    })?;
    Ok(dataset(&TRANSACTION, scope, seed, rows))
}

/// Plays the same episodes of all protocols and collects a row for every contract that somebody deploys in them, with the
/// intent of its first use as the label.
///
/// # Errors
/// As [`generate`].
pub fn generate_contracts(seed: u64, episodes: u64) -> Result<Dataset, RangeError> {
    let scope = Scope::AllProtocols;
    let rows = play_all(0..episodes, |episode| {
        let mut opened = open(scope, seed, episode, true)?;
        opened.world.collect_contracts();
        Ok(act(scope, opened)?.into_contracts())
    })?;
    Ok(dataset(&CONTRACT, scope, seed, rows))
}

/// The same without attacks, of the episodes in `episodes`: for counting what is benign and looks otherwise.
///
/// # Errors
/// As [`generate`].
pub fn generate_benign(
    scope: Scope,
    seed: u64,
    episodes: Range<u64>,
) -> Result<Dataset, RangeError> {
    let rows = play_all(episodes, |episode| Ok(play(scope, seed, episode, false)?.rows))?;
    Ok(dataset(&TRANSACTION, scope, seed, rows))
}

fn dataset(schema: &'static Schema, scope: Scope, seed: u64, rows: Vec<Row>) -> Dataset {
    let origin = Origin {
        generator: scope.generator().to_owned(),
        generator_version: GENERATOR_VERSION.to_owned(),
        seed,
    };
    Dataset { schema, origin, rows }
}

/// Plays on as many threads as there are processors; an episode depends on no other, so the rows are the same.
fn play_all(
    episodes: Range<u64>,
    play: impl Fn(u64) -> Result<Vec<Row>, RangeError> + Sync,
) -> Result<Vec<Row>, RangeError> {
    let next = AtomicU64::new(episodes.start);
    let work = || {
        let mut played = Vec::new();
        loop {
            let episode = next.fetch_add(1, Ordering::Relaxed);
            if episode >= episodes.end {
                return Ok(played);
            }
            played.push((episode, play(episode)?));
        }
    };
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut played = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..n_threads).map(|_| scope.spawn(work)).collect();
        let mut played = work()?;
        for thread in threads {
            played.extend(thread.join().expect("an episode does not panic")?);
        }
        Ok::<_, RangeError>(played)
    })?;
    played.sort_unstable_by_key(|(episode, _)| *episode);
    Ok(played.into_iter().flat_map(|(_, rows)| rows).collect())
}

fn play(scope: Scope, seed: u64, episode: u64, may_attack: bool) -> Result<World, RangeError> {
    act(scope, open(scope, seed, episode, may_attack)?)
}

/// A world before anything is set up in it, and what is to happen there.
fn open(scope: Scope, seed: u64, episode: u64, may_attack: bool) -> Result<Opened, RangeError> {
    let mut random = Random::part(seed, episode);
    let is_flawed = random.chance(FLAWED_SHARE);
    let is_attacked = random.chance(ATTACKED_SHARE) && may_attack;
    let attack_step = random.below(STEPS);
    let kind = match scope {
        Scope::EtherVault => Kind::EtherVault,
        Scope::AllProtocols => Kind::ALL[random.below(Kind::ALL.len())],
    };
    let world = match kind {
        Kind::EtherVault => World::new(episode, is_flawed, random)?,
        _ => World::empty(episode, random)?,
    };
    Ok(Opened { world, kind, is_flawed, attack_step: is_attacked.then_some(attack_step) })
}

/// What [`open`] drew.
struct Opened {
    world: World,
    kind: Kind,
    is_flawed: bool,
    /// None is peace.
    attack_step: Option<usize>,
}

fn act(scope: Scope, opened: Opened) -> Result<World, RangeError> {
    let Opened { mut world, kind, is_flawed, attack_step } = opened;
    protocols::set_up(kind, is_flawed, &mut world)?;
    for step in 0..STEPS {
        // Attacks are rare in the world and dear to play: with all protocols, an attacked episode sees some.
        let is_attack = attack_step.is_some_and(|attack_step| match scope {
            Scope::EtherVault => step == attack_step,
            Scope::AllProtocols => step % ATTACK_EVERY == attack_step % ATTACK_EVERY,
        });
        self::step(&mut world, is_attack)?;
    }
    Ok(world)
}

/// One act: an attack, or something else.
fn step(world: &mut World, is_attack: bool) -> Result<(), RangeError> {
    match (world.protocol(), is_attack) {
        (None, true) => attack::play(world),
        (None, false) => benign::play(world),
        (Some(protocol), true) => protocol.attack(world),
        (Some(protocol), false) => protocol.use_it(world),
    }
}
