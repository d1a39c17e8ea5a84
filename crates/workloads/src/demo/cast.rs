//! The people, devices, places and things of the shop. All are made up.

/// A kind of device, as its SDK describes it.
#[derive(Debug)]
pub(super) struct Hardware {
    pub(super) properties: &'static [(&'static str, &'static str)],
}

const fn web(properties: &'static [(&'static str, &'static str)]) -> Hardware {
    Hardware { properties }
}

pub(super) const LAPTOP: Hardware = web(&[
    ("mp_lib", "web"),
    ("$browser", "Chrome"),
    ("$os", "Mac OS X"),
]);

pub(super) const PHONE: Hardware = web(&[
    ("mp_lib", "web"),
    ("$browser", "Mobile Safari"),
    ("$os", "iOS"),
    ("$device", "iPhone"),
]);

pub(super) const SHARED_TABLET: Hardware = web(&[
    ("mp_lib", "web"),
    ("$browser", "Mobile Safari"),
    ("$os", "iOS"),
    ("$device", "iPad"),
]);

pub(super) const HARDWARE: [Hardware; 8] = [
    LAPTOP,
    PHONE,
    web(&[
        ("mp_lib", "web"),
        ("$browser", "Chrome"),
        ("$os", "Windows"),
    ]),
    web(&[
        ("mp_lib", "web"),
        ("$browser", "Microsoft Edge"),
        ("$os", "Windows"),
    ]),
    web(&[("mp_lib", "web"), ("$browser", "Firefox"), ("$os", "Linux")]),
    web(&[
        ("mp_lib", "web"),
        ("$browser", "Chrome"),
        ("$os", "Android"),
        ("$device", "Android"),
    ]),
    web(&[
        ("mp_lib", "android"),
        ("$os", "Android"),
        ("$brand", "Google"),
        ("$model", "Pixel 8"),
    ]),
    web(&[
        ("mp_lib", "swift"),
        ("$os", "iOS"),
        ("$model", "iPhone15,3"),
    ]),
];

pub(super) const PLACES: [(&str, &str); 8] = [
    ("Ghent", "BE"),
    ("Lyon", "FR"),
    ("Graz", "AT"),
    ("Porto", "PT"),
    ("Bergen", "NO"),
    ("Leeds", "GB"),
    ("Bilbao", "ES"),
    ("Torino", "IT"),
];

pub(super) const PAGES: [&str; 5] = ["/", "/lamps", "/sale", "/about", "/delivery"];

/// The things that are sold, and their prices.
pub(super) const ITEMS: [(&str, u32); 6] = [
    ("Desk lamp", 49),
    ("Floor lamp", 129),
    ("Paper shade", 18),
    ("Brass hook", 9),
    ("Wall light", 75),
    ("Lantern", 34),
];

const FIRST_NAMES: [&str; 20] = [
    "Mara", "Tobi", "Noor", "Emre", "Wim", "Ines", "Jonas", "Leila", "Otto", "Priya", "Sven",
    "Thea", "Ugo", "Vera", "Yuki", "Zora", "Anouk", "Bela", "Cleo", "Dario",
];

const LAST_NAMES: [&str; 20] = [
    "Quill", "Fennick", "Aster", "Birch", "Calder", "Dunmore", "Elling", "Foxley", "Garrow",
    "Hollin", "Ivers", "Jessop", "Kestrel", "Lorne", "Marlow", "Norrin", "Orrick", "Pell", "Rusk",
    "Sable",
];

/// The name of a person. The first 400 have different ones.
pub(super) fn full_name(person: usize) -> String {
    let first = FIRST_NAMES[person % FIRST_NAMES.len()];
    let last = LAST_NAMES[(person + person / FIRST_NAMES.len()) % LAST_NAMES.len()];
    format!("{first} {last}")
}
