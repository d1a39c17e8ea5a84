//! The arrays and objects around a position, and how large and deep they are.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Array,
    Object,
}

/// A stack of containers, one bit each, the innermost lowest. It allocates only past a depth of 64.
#[derive(Debug, Default)]
pub(super) struct Nesting {
    depth: usize,
    inner: u64,
    outer: Vec<u64>,
}

impl Nesting {
    pub(super) fn enter(&mut self, container: Container) {
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.outer.push(self.inner);
        }
        self.depth += 1;
        self.inner = self.inner << 1 | u64::from(container == Container::Object);
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
        self.inner >>= 1;
        if self.depth > 0 && self.depth.is_multiple_of(64) {
            self.inner = self.outer.pop().unwrap_or_default();
        }
    }

    pub(super) fn innermost(&self) -> Option<Container> {
        match (self.depth, self.inner & 1) {
            (0, _) => None,
            (_, 0) => Some(Container::Array),
            _ => Some(Container::Object),
        }
    }
}

/// Observes the containers in a value while the scanner passes over it.
pub(crate) trait Observer {
    /// An array or an object begins.
    fn enter(&mut self) {}
    /// The innermost container has one more member: the key of an object was passed, or an element
    /// of an array with everything in it.
    fn member(&mut self) {}
    /// The innermost container ends.
    fn leave(&mut self) {}
}

/// Observes nothing, at no cost.
impl Observer for () {}

/// How large and how deep the arrays and objects in a property may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerLimits {
    /// The most members of an object, and the most elements of an array.
    pub max_members: usize,
    /// The greatest depth of containers in each other: `[[1]]` has a depth of 2.
    pub max_depth: usize,
}

/// A limit that an event exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Excess {
    /// An array or an object has too many members.
    TooManyMembers,
    /// Arrays and objects are nested too deeply.
    TooDeep,
}

/// Finds the first limit that is exceeded, in reading order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExcessFinder {
    limits: ContainerLimits,
    found: Option<Excess>,
    depth: usize,
    /// The members of the innermost container so far.
    members: usize,
    /// The members of the containers around it, and a 0 for the value itself. There are at most
    /// `max_depth`.
    outer: Vec<usize>,
}

impl ExcessFinder {
    pub(crate) fn new(limits: ContainerLimits) -> Self {
        Self {
            limits,
            found: None,
            depth: 0,
            members: 0,
            outer: Vec::new(),
        }
    }

    pub(crate) fn limits(&self) -> ContainerLimits {
        self.limits
    }

    pub(crate) fn found(&self) -> Option<Excess> {
        self.found
    }
}

/// After the first excess nothing counts any more, so depth and members are not kept up to date.
impl Observer for ExcessFinder {
    fn enter(&mut self) {
        if self.found.is_some() {
            return;
        }
        if self.depth == self.limits.max_depth {
            self.found = Some(Excess::TooDeep);
            return;
        }
        self.outer.push(self.members);
        self.depth += 1;
        self.members = 0;
    }

    fn member(&mut self) {
        if self.found.is_some() {
            return;
        }
        self.members += 1;
        if self.members > self.limits.max_members {
            self.found = Some(Excess::TooManyMembers);
        }
    }

    fn leave(&mut self) {
        if self.found.is_some() {
            return;
        }
        self.depth -= 1;
        self.members = self.outer.pop().unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nesting_remembers_the_outermost_container_of_each_64() {
        let is_object = |depth: usize| depth.is_multiple_of(64) || depth.is_multiple_of(3);
        let container = |depth| match is_object(depth) {
            true => Container::Object,
            false => Container::Array,
        };
        let mut nesting = Nesting::default();
        for depth in 0..200 {
            nesting.enter(container(depth));
        }
        for depth in (0..200).rev() {
            assert_eq!(nesting.innermost(), Some(container(depth)), "{depth}");
            nesting.leave();
        }
        assert_eq!(nesting.innermost(), None);
    }

    proptest! {
        #[test]
        fn nesting_is_a_stack(steps in prop::collection::vec(prop::option::weighted(0.6, any::<bool>()), 0..400)) {
            let (mut nesting, mut stack) = (Nesting::default(), Vec::new());
            for step in steps {
                match step {
                    Some(object) => {
                        let container = if object { Container::Object } else { Container::Array };
                        nesting.enter(container);
                        stack.push(container);
                    }
                    None if !stack.is_empty() => {
                        nesting.leave();
                        stack.pop();
                    }
                    None => {}
                }
                prop_assert_eq!(nesting.innermost(), stack.last().copied());
            }
        }
    }
}
