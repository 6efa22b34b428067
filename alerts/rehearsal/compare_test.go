package rehearsal_test

import (
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/rehearsal"
	contract "firewatch/firmware-contracts"
)

func minute(m int) time.Time { return noon.Add(time.Duration(m) * time.Minute) }

func incident(id string, from, to int, north float64) alerts.Incident {
	return alerts.Incident{
		ID: id, Area: "130633101", Lat: 39.38 + north/111.2, Lon: 115.35, HasPlace: true, Began: minute(from), Opened: minute(from), Closed: minute(to),
	}
}

func TestFiresAreMatchedByPlaceAndTime(t *testing.T) {
	roster := oneSensor()
	old := rehearsal.Result{From: noon, To: minute(6000), Incidents: []alerts.Incident{
		incident("a", 100, 200, 0),   // seen earlier by the new one
		incident("b", 1000, 1100, 0), // at the same time
		incident("c", 2000, 2100, 0), // later
		incident("d", 3000, 3100, 0), // not seen
		incident("e", 4000, 4100, 0), // seen as two
		incident("g", 5000, 5100, 0), // 5 km away: another fire
	}}
	is := rehearsal.Result{From: noon, To: minute(6000), Incidents: []alerts.Incident{
		incident("a", 86, 200, 1),
		incident("b", 1000, 1100, 1),
		incident("c", 2005, 2100, 0),
		incident("e1", 3995, 4050, 0), incident("e2", 4060, 4100, 0),
		incident("g", 5000, 5100, 5),
	}}
	c := rehearsal.Compare(&old, &is, &roster, nil)
	got := make(map[time.Duration]int)
	var onlyOld, onlyNew int
	for _, f := range c.Fires {
		switch {
		case f.Old.IsZero():
			onlyNew++
		case f.New.IsZero():
			onlyOld++
		default:
			got[f.Earlier]++
		}
	}
	if len(got) != 4 || got[14*time.Minute] != 1 || got[0] != 1 || got[-5*time.Minute] != 1 || got[5*time.Minute] != 1 || onlyOld != 2 || onlyNew != 1 {
		t.Errorf("earlier %v, only old %d, only new %d", got, onlyOld, onlyNew)
	}
}

func TestOrdersAreToldByWhereTheTeamsBelong(t *testing.T) {
	roster := oneSensor()
	roster.Teams = []alerts.Team{{ID: "T1", Area: "130633101"}, {ID: "T2", Area: "130633"}}
	order := func(kind alerts.OrderKind, teams ...contract.TeamID) rehearsal.Order {
		return rehearsal.Order{At: noon, Kind: kind, Mode: alerts.ModePropose, Teams: teams}
	}
	old := rehearsal.Result{Orders: []rehearsal.Order{order(alerts.OrderStandby, "T1")}}
	is := rehearsal.Result{Orders: []rehearsal.Order{
		order(alerts.OrderStandby, "T1", "T2"), order(alerts.OrderStandby, "T2"), order(alerts.OrderCheck, "T1"),
	}}
	is.Orders[2].Mode = alerts.ModeAutomatic
	c := rehearsal.Compare(&old, &is, &roster, nil)
	if len(c.Orders) != 2 || c.Old.Orders != 1 || c.New.Orders != 3 || c.New.Automatic != 1 {
		t.Fatalf("%+v", c)
	}
	standby := c.Orders[0]
	if standby.Old != 1 || standby.New != 2 || standby.Teams != [2]int{1, 3} || len(standby.Towns) != 2 {
		t.Fatalf("%+v", standby)
	}
	if first := standby.Towns[0]; first.Area != "130633" || first.Old != 0 || first.New != 2 {
		t.Errorf("%+v", first)
	}
}

// What came too late to call anybody found no fire.
func TestWhatIsOnRecordOnlyFindsNoFire(t *testing.T) {
	roster := oneSensor()
	set := shippedSet(t, string(alerts.DefaultRules()))
	alert := alerts.Alert{ID: "a", Rule: "sensor_fire", Area: "130633101", Lat: 39.38, Lon: 115.35, HasPlace: true, Raised: minute(10), State: alerts.Firing}
	record := alert
	record.Explain.Outcome = alerts.LateRecord
	old, is := rehearsal.Result{Rules: set, Alerts: []alerts.Alert{record}}, rehearsal.Result{Rules: set, Alerts: []alerts.Alert{alert}}
	c := rehearsal.Compare(&old, &is, &roster, []rehearsal.Fire{{Name: "山火", Time: noon, Lat: 39.381, Lon: 115.351}, {Time: minute(-2000), Lat: 39.38, Lon: 115.35}})
	if len(c.Fires) != 2 || !c.Fires[0].Old.IsZero() || !c.Fires[0].New.Equal(minute(10)) || !c.Fires[1].New.IsZero() || c.Old.Alerts != 0 || c.New.Alerts != 1 {
		t.Errorf("%+v", c)
	}
}
