package memstore_test

import (
	"testing"

	"firewatch/alerts/alertstest"
	"firewatch/alerts/alertstest/memstore"
)

func TestSuite(t *testing.T) {
	alertstest.StoreSuite(t, func(*testing.T) alertstest.Store { return memstore.New() })
}

func TestLeaseByCallersClock(t *testing.T) { alertstest.LeaseByCallersClock(t, memstore.New()) }
