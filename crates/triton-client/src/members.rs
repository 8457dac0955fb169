//! Which endpoints there are, now: read by every call, changed at run time.
//!
//! An endpoint stays for as long as anybody names it: an operator, or a `dns://` name that has its
//! address. The operator has the last word: what is withdrawn is given no calls, whoever else names
//! it, until it is added again or nobody names it any more.

use std::{
    collections::BTreeSet,
    fmt, mem,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tower::retry::budget::TpsBudget;

use crate::{endpoint::Endpoint, names::Name, options::EndpointOptions, schedule::Models};

/// Of a hundred requests, so many may be sent a second time…
const RETRY_SHARE: f32 = 0.2;
/// …and so many a second in any case.
const MIN_RETRIES_PER_SECOND: u32 = 10;
/// How long a request counts for the share.
const RETRY_MEMORY: Duration = Duration::from_secs(10);

/// Who names an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Whoever wrote the configuration, or has added it since.
    Operator,
    /// This `dns://` name.
    Dns(Arc<str>),
}

struct Member {
    endpoint: Arc<Endpoint>,
    named_by: BTreeSet<Source>,
    is_withdrawn: bool,
}

/// The endpoints of a set, and what their queues share.
pub(crate) struct Members {
    all: Mutex<Vec<Member>>,
    /// Those that are given calls.
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    generation: AtomicU64,
    pub(crate) options: EndpointOptions,
    /// Bound what is sent a second time, so that trouble is not answered with more load: to another
    /// endpoint,
    pub(crate) retries: TpsBudget,
    /// and to the same one in halves, to find the request at fault.
    pub(crate) halvings: TpsBudget,
    pub(crate) models: Mutex<Models>,
    /// Names whose addresses are members, now.
    pub(crate) names: Vec<Name>,
}

impl Members {
    /// No endpoint yet.
    pub(crate) fn new(names: Vec<Name>, options: EndpointOptions) -> Arc<Self> {
        let budget = || TpsBudget::new(RETRY_MEMORY, MIN_RETRIES_PER_SECOND, RETRY_SHARE);
        Arc::new(Self {
            names,
            all: Mutex::new(Vec::new()),
            endpoints: ArcSwap::from_pointee(Vec::new()),
            generation: AtomicU64::new(1),
            options,
            retries: budget(),
            halvings: budget(),
            models: Mutex::new(Models::new()),
        })
    }

    /// Those that are given calls.
    pub(crate) fn endpoints(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.endpoints.load_full()
    }

    /// Grows with every change.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// An operator names it: it is given calls from now on. False if it was already.
    pub(crate) fn add(&self, endpoint: Arc<Endpoint>) -> bool {
        self.change(|members| {
            let member = known(members, endpoint);
            let is_new = member.named_by.is_empty() || member.is_withdrawn;
            member.named_by.insert(Source::Operator);
            member.is_withdrawn = false;
            is_new
        })
    }

    /// An operator withdraws it: it is given no more calls. False if it was given none.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.change(|members| {
            let mut members = members.iter_mut();
            let Some(member) = members.find(|member| member.endpoint.name() == name) else {
                return false;
            };
            member.named_by.remove(&Source::Operator);
            !mem::replace(&mut member.is_withdrawn, true)
        })
    }

    /// From now on `source` names these, and no others.
    pub(crate) fn follow(&self, source: &Source, endpoints: Vec<Arc<Endpoint>>) {
        self.change(|members| {
            for member in &mut *members {
                member.named_by.remove(source);
            }
            for endpoint in endpoints {
                known(members, endpoint).named_by.insert(source.clone());
            }
        });
    }

    /// Those that are withdrawn and that somebody still names.
    pub(crate) fn withdrawn(&self) -> Vec<Arc<str>> {
        let members = self.all.lock();
        let withdrawn = members.iter().filter(|member| member.is_withdrawn);
        withdrawn
            .map(|member| member.endpoint.name().into())
            .collect()
    }

    /// Those that are given calls no longer finish the ones that are out.
    fn change<T>(&self, change: impl FnOnce(&mut Vec<Member>) -> T) -> T {
        let mut members = self.all.lock();
        let outcome = change(&mut members);
        members.retain(|member| !member.named_by.is_empty());
        let given_calls = members.iter().filter(|member| !member.is_withdrawn);
        let endpoints = given_calls.map(|member| Arc::clone(&member.endpoint));
        self.endpoints.store(Arc::new(endpoints.collect()));
        self.generation.fetch_add(1, Ordering::Release);
        outcome
    }
}

/// The member of that name: the one that there is, or this endpoint as a new one.
fn known(members: &mut Vec<Member>, endpoint: Arc<Endpoint>) -> &mut Member {
    let known = members
        .iter()
        .position(|member| member.endpoint.name() == endpoint.name());
    let index = known.unwrap_or_else(|| {
        members.push(Member {
            endpoint,
            named_by: BTreeSet::new(),
            is_withdrawn: false,
        });
        members.len() - 1
    });
    &mut members[index]
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.endpoints().iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dial::Dial;

    const A: &str = "dns://a:8001";
    const B: &str = "dns://b:8001";

    fn endpoint(name: &str) -> Arc<Endpoint> {
        let options = EndpointOptions::default();
        let dial = Dial::to(name, &options).expect("a URL");
        dial.endpoint(&options)
    }

    /// `http://e1:1`, ….
    fn url(number: usize) -> String {
        format!("http://e{number}:1")
    }

    fn members() -> Arc<Members> {
        Members::new(Vec::new(), EndpointOptions::default())
    }

    fn resolve(members: &Members, name: &str, now: &[usize]) {
        let endpoints = now.iter().map(|number| endpoint(&url(*number)));
        members.follow(&Source::Dns(name.into()), endpoints.collect());
    }

    fn given_calls(members: &Members) -> Vec<String> {
        let endpoints = members.endpoints();
        let names = endpoints.iter().map(|endpoint| endpoint.name().to_owned());
        names.collect()
    }

    #[test]
    fn an_endpoint_stays_for_as_long_as_anybody_names_it() {
        let members = members();
        assert!(members.add(endpoint(&url(1))));
        resolve(&members, A, &[1, 2, 3]);
        resolve(&members, B, &[3]);
        assert_eq!(given_calls(&members), [url(1), url(2), url(3)], "once each");
        let (first, generation) = (members.endpoints()[0].clone(), members.generation());
        resolve(&members, A, &[2]);
        assert!(members.generation() > generation);
        assert_eq!(given_calls(&members), [url(1), url(2), url(3)]);
        assert!(Arc::ptr_eq(&first, &members.endpoints()[0]), "itself");
        assert!(!members.add(endpoint(&url(2))), "it is given calls already");
        resolve(&members, A, &[4]);
        resolve(&members, B, &[4]);
        assert_eq!(given_calls(&members), [url(1), url(2), url(4)]);
        assert!(members.remove(&url(1)));
        assert!(!members.remove(&url(1)));
        assert_eq!(given_calls(&members), [url(2), url(4)]);
        assert!(members.withdrawn().is_empty(), "nobody names it");
    }

    #[test]
    fn what_is_withdrawn_stays_away_until_it_is_added_or_no_name_has_it() {
        let members = members();
        members.add(endpoint(&url(1)));
        resolve(&members, A, &[1]);
        assert!(members.remove(&url(1)), "from the list and from the name");
        assert!(!members.remove(&url(1)), "it is given no calls");
        resolve(&members, A, &[1, 2]);
        assert_eq!(given_calls(&members), [url(2)]);
        assert_eq!(members.withdrawn(), [url(1).into()]);

        assert!(members.add(endpoint(&url(1))), "it is given calls again");
        assert_eq!(given_calls(&members), [url(1), url(2)]);
        assert!(members.withdrawn().is_empty());

        members.remove(&url(1));
        resolve(&members, A, &[2]);
        assert!(members.withdrawn().is_empty(), "nobody names it");
        resolve(&members, A, &[1]);
        assert_eq!(given_calls(&members), [url(1)], "by now it may be another");
    }

    #[derive(Debug, Clone)]
    enum Change {
        Add(usize),
        Remove(usize),
        Resolve(bool, BTreeSet<usize>),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            (0..4_usize).prop_map(Change::Add),
            (0..4_usize).prop_map(Change::Remove),
            (
                any::<bool>(),
                proptest::collection::btree_set(0..4_usize, 0..4)
            )
                .prop_map(|(which, now)| Change::Resolve(which, now)),
        ]
    }

    proptest! {
        /// They are the union of what is named, without what is withdrawn and named.
        #[test]
        fn they_are_what_the_sources_name(changes in proptest::collection::vec(change(), 0..40)) {
            let members = members();
            let mut named: [BTreeSet<usize>; 3] = Default::default();
            let mut withdrawn = BTreeSet::new();
            for change in changes {
                match change {
                    Change::Add(number) => {
                        members.add(endpoint(&url(number)));
                        named[0].insert(number);
                        withdrawn.remove(&number);
                    }
                    Change::Remove(number) => {
                        members.remove(&url(number));
                        named[0].remove(&number);
                        withdrawn.insert(number);
                    }
                    Change::Resolve(which, now) => {
                        let name = if which { A } else { B };
                        resolve(&members, name, &now.iter().copied().collect::<Vec<_>>());
                        named[1 + usize::from(which)] = now;
                    }
                }
                let union: BTreeSet<usize> = named.iter().flatten().copied().collect();
                withdrawn.retain(|number| union.contains(number));
                let expected: BTreeSet<String> = union.difference(&withdrawn).copied().map(url).collect();
                let given = given_calls(&members);
                prop_assert_eq!(given.len(), expected.len());
                prop_assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), expected);
                let told: BTreeSet<_> = members.withdrawn().iter().map(ToString::to_string).collect();
                prop_assert_eq!(told, withdrawn.iter().copied().map(url).collect());
            }
        }
    }
}
