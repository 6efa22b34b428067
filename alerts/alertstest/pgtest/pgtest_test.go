package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"firewatch/alerts/alertstest/pgtest"
)

func TestEachDatabaseIsItsOwn(t *testing.T) {
	s := pgtest.Start(t)
	for range 2 {
		c, err := pgx.Connect(t.Context(), s.NewDatabase(t))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Exec(t.Context(), "CREATE TABLE only_here (n INT)"); err != nil {
			t.Error(err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
