//! Erases people while the project is open.
