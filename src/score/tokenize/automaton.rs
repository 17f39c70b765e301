//! Many patterns matched at once: the longest match of any, by an automaton that is built as far as texts need it.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::pattern::{Pattern, Units, complement};

/// A place in the network of patterns.
type Node = usize;

enum Step {
    /// Goes on to the next node where the unit is in the set.
    On(usize, Node),
    /// Goes on to several nodes without taking a unit.
    Fork(Vec<Node>),
    /// The pattern with this number has matched.
    Accept(usize),
}

/// Patterns as a network, and the units sorted into classes that no pattern tells apart. Never changes once built.
pub struct Network {
    steps: Vec<Step>,
    start: Node,
    /// The class of each of the 65 536 units.
    classes: Vec<u16>,
    class_count: usize,
    /// For each set that the steps name, whether it holds each class.
    sets: Vec<Vec<bool>>,
}

impl Network {
    pub fn new(patterns: &[&Pattern]) -> Self {
        let mut builder = Builder::default();
        let starts: Vec<Node> = patterns
            .iter()
            .enumerate()
            .map(|(number, pattern)| {
                let end = builder.add(Step::Accept(number));
                builder.lead(pattern, end)
            })
            .collect();
        let start = builder.add(Step::Fork(starts));
        let (classes, sets) = classify(&builder.sets);
        let class_count = sets.first().map_or(1, Vec::len);
        Self { steps: builder.steps, start, classes, class_count, sets }
    }

    fn class(&self, unit: u16) -> usize {
        self.classes.get(usize::from(unit)).copied().unwrap_or(0).into()
    }

    /// The nodes that take a unit or accept, reached from these without taking one; ascending.
    fn closure(&self, nodes: impl IntoIterator<Item = Node>) -> Vec<Node> {
        let mut pending: Vec<Node> = nodes.into_iter().collect();
        let (mut seen, mut reached) = (vec![false; self.steps.len()], Vec::new());
        while let Some(node) = pending.pop() {
            match seen.get_mut(node) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match self.steps.get(node) {
                Some(Step::Fork(nodes)) => pending.extend(nodes),
                _ => reached.push(node),
            }
        }
        reached.sort_unstable();
        reached
    }

    fn after(&self, nodes: &[Node], class: usize) -> Vec<Node> {
        let holds = |set: usize| self.sets.get(set).and_then(|set| set.get(class)).copied().unwrap_or(false);
        let next = nodes.iter().filter_map(|&node| match self.steps.get(node)? {
            Step::On(set, next) if holds(*set) => Some(*next),
            _ => None,
        });
        self.closure(next)
    }

    fn accepted(&self, nodes: &[Node]) -> Option<usize> {
        let accepted = nodes.iter().filter_map(|&node| match self.steps.get(node)? {
            Step::Accept(number) => Some(*number),
            _ => None,
        });
        accepted.min()
    }
}

/// Sorts units into classes: those that are in the same sets are in the same class. Sets are compared where one of
/// them begins or ends, not unit by unit.
fn classify(sets: &[Units]) -> (Vec<u16>, Vec<Vec<bool>>) {
    const ALL: usize = u16::MAX as usize + 1;
    let ends = sets.iter().flatten().flat_map(|&(low, high)| [usize::from(low), usize::from(high) + 1]);
    let cuts: BTreeSet<usize> = ends.chain([0, ALL]).collect();
    let mut numbers: HashMap<Vec<bool>, u16> = HashMap::new();
    let mut classes = vec![0; ALL];
    for (&from, &to) in cuts.iter().zip(cuts.iter().skip(1)) {
        let within = |units: &Units| {
            let before = units.partition_point(|&(low, _)| usize::from(low) <= from);
            let last = before.checked_sub(1).and_then(|index| units.get(index));
            last.is_some_and(|&(_, high)| usize::from(high) >= from)
        };
        let fresh = numbers.len() as u16;
        let class = *numbers.entry(sets.iter().map(within).collect()).or_insert(fresh);
        if let Some(span) = classes.get_mut(from..to) {
            span.fill(class);
        }
    }
    let mut holds = vec![vec![false; numbers.len()]; sets.len()];
    for (within, class) in numbers {
        for (set, is_in) in holds.iter_mut().zip(within) {
            if let Some(flag) = set.get_mut(usize::from(class)) {
                *flag = is_in;
            }
        }
    }
    (classes, holds)
}

/// The same units in ascending ranges that do not overlap.
fn merged(units: &Units) -> Units {
    complement(&complement(units))
}

#[derive(Default)]
struct Builder {
    steps: Vec<Step>,
    sets: Vec<Units>,
    numbers: HashMap<Units, usize>,
}

impl Builder {
    fn add(&mut self, step: Step) -> Node {
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn set(&mut self, units: &Units) -> usize {
        let units = merged(units);
        let fresh = self.sets.len();
        let number = *self.numbers.entry(units.clone()).or_insert(fresh);
        if number == fresh {
            self.sets.push(units);
        }
        number
    }

    /// Adds a pattern that leads to a node; returns where it starts.
    fn lead(&mut self, pattern: &Pattern, end: Node) -> Node {
        match pattern {
            Pattern::One(units) => {
                let set = self.set(units);
                self.add(Step::On(set, end))
            }
            Pattern::Sequence(items) => items.iter().rev().fold(end, |end, item| self.lead(item, end)),
            Pattern::Choice(items) => {
                let starts = items.iter().map(|item| self.lead(item, end)).collect();
                self.add(Step::Fork(starts))
            }
            Pattern::Repeat(item, least, most) => {
                let optional = match most {
                    Some(most) => (*least..*most).fold(end, |rest, _| {
                        let start = self.lead(item, rest);
                        self.add(Step::Fork(vec![start, end]))
                    }),
                    None => {
                        let fork = self.add(Step::Fork(vec![end]));
                        let start = self.lead(item, fork);
                        if let Some(Step::Fork(nodes)) = self.steps.get_mut(fork) {
                            nodes.push(start);
                        }
                        fork
                    }
                };
                (0..*least).fold(optional, |end, _| self.lead(item, end))
            }
        }
    }
}

/// The number of a state of the scanner.
type StateId = u32;
const DEAD: StateId = 0;
const UNKNOWN: StateId = StateId::MAX;

struct State {
    nodes: Vec<Node>,
    accepted: Option<usize>,
    next: Vec<StateId>,
}

/// Finds longest matches. It remembers what it found out of its network, so every thread has its own.
pub struct Scanner<'a> {
    network: &'a Network,
    states: Vec<State>,
    ids: HashMap<Vec<Node>, StateId>,
    /// States at positions of the current text from which nothing longer was found, so that a long stretch that
    /// could be the beginning of something is not read again from each of its positions.
    barren: HashSet<(StateId, usize)>,
    /// States and positions since the longest match so far.
    past: Vec<(StateId, usize)>,
}

/// How far the scanner reads past a match before it begins to remember that in vain.
const PATIENCE: usize = 64;

impl<'a> Scanner<'a> {
    pub fn new(network: &'a Network) -> Self {
        let mut scanner = Self {
            network,
            states: Vec::new(),
            ids: HashMap::new(),
            barren: HashSet::new(),
            past: Vec::new(),
        };
        scanner.state(Vec::new());
        let start = network.closure([network.start]);
        scanner.state(start);
        scanner
    }

    /// Begins another text.
    pub fn begin(&mut self) {
        self.barren.clear();
    }

    /// The first of the patterns that match the most units from a position on, and how many units those are.
    pub fn longest(&mut self, text: &[u16], from: usize) -> Option<(usize, usize)> {
        let (mut state, mut best): (StateId, _) = (1, None);
        self.past.clear();
        for (position, &unit) in text.iter().enumerate().skip(from) {
            state = self.next(state, self.network.class(unit));
            if state == DEAD || !self.barren.is_empty() && self.barren.contains(&(state, position)) {
                break;
            }
            if let Some(number) = self.states.get(state as usize).and_then(|state| state.accepted) {
                best = Some((number, position + 1 - from));
                self.past.clear();
            } else {
                self.past.push((state, position));
            }
        }
        if self.past.len() > PATIENCE {
            self.barren.extend(self.past.iter().copied());
        }
        best
    }

    fn next(&mut self, state: StateId, class: usize) -> StateId {
        let Some(known) = self.states.get(state as usize) else { return DEAD };
        match known.next.get(class) {
            Some(&UNKNOWN) => {}
            Some(&next) => return next,
            None => return DEAD,
        }
        let next = self.network.after(&known.nodes, class);
        let next = self.state(next);
        if let Some(slot) = self.states.get_mut(state as usize).and_then(|state| state.next.get_mut(class)) {
            *slot = next;
        }
        next
    }

    fn state(&mut self, nodes: Vec<Node>) -> StateId {
        if let Some(&id) = self.ids.get(&nodes) {
            return id;
        }
        let id = self.states.len() as StateId;
        let accepted = self.network.accepted(&nodes);
        let next = vec![if id == DEAD { DEAD } else { UNKNOWN }; self.network.class_count];
        self.states.push(State { nodes: nodes.clone(), accepted, next });
        self.ids.insert(nodes, id);
        id
    }
}

/// The longest beginning of a text that one pattern matches such that a second one matches all the rest.
pub fn split(text: &[u16], first: &Network, second: &Network) -> Option<usize> {
    let mut nodes = first.closure([first.start]);
    let mut ends = Vec::new();
    for (position, &unit) in text.iter().enumerate() {
        nodes = first.after(&nodes, first.class(unit));
        if first.accepted(&nodes).is_some() {
            ends.push(position + 1);
        }
    }
    let matches_rest = |end: &usize| {
        let rest = text.iter().skip(*end);
        let start = second.closure([second.start]);
        let nodes = rest.fold(start, |nodes, &unit| second.after(&nodes, second.class(unit)));
        second.accepted(&nodes).is_some()
    };
    ends.into_iter().rev().find(matches_rest)
}
