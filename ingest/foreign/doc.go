// Package foreign holds what the adapters of other people's devices share: a
// lenient reader of JSON, and drafts of readings from which a bad detail is left
// out without losing the rest.
package foreign
