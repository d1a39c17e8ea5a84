//! The users of a project as a person looks at them: newest seen first, with their names, devices and figures.
//!
//! Nothing is stored for this. The events of an ID are in the index of the archive, so how many events a user
//! has, and which is the last of them, is known without reading events.

mod describe;
mod device;
mod facts;
mod ids;
mod live;
mod page;
mod search;
mod user;
mod view;

pub use self::device::{Device, DeviceKind};
pub use self::ids::{UserId, UserIds};
pub use self::live::{Holder, LiveAnswer, LiveClaim, LiveEvent, LivePage};
pub use self::page::{UsersCursor, UsersPage, UsersQuery};
pub use self::search::{FoundUser, MatchedField, SearchQuery, SearchResult};
pub use self::user::User;
