//! Stories across the whole system.
