package sqlstore

import (
	"context"
)

// where collects conditions that all must hold.
type where struct {
	text string
	args []any
}

func (w *where) and(condition string, args ...any) {
	if w.text == "" {
		w.text = " WHERE "
	} else {
		w.text += " AND "
	}
	w.text += condition
	w.args = append(w.args, args...)
}

// before keeps the rows of the table that come after the row id when sorted by
// the column and the id, falling. table and column are ours, never a user's.
func (w *where) before(ctx context.Context, c conn, table, column, id string) error {
	if id == "" {
		return nil
	}
	at, err := queryOne(ctx, c, scanInt, "SELECT "+column+" FROM "+table+" WHERE id = ?", id)
	if err != nil {
		return err
	}
	w.and("("+column+", id) < (?, ?)", at, id)
	return nil
}

// below begins a query in which the table "below" holds the area and all under
// it, those that left the roster too. Its one argument is the area, first in
// all.
func below(area string) string {
	if area == "" {
		return ""
	}
	return "WITH RECURSIVE below (code) AS (SELECT code FROM areas WHERE code = ? " +
		"UNION SELECT a.code FROM areas a JOIN below b ON a.parent = b.code) "
}

// all are the arguments of a query of below(area), the conditions and a limit.
func (w *where) all(area string, limit int) []any {
	var out []any
	if area != "" {
		out = append(out, area)
	}
	return append(append(out, w.args...), limit)
}
