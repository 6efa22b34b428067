package v1

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// Prefix is where version 1 lives.
const Prefix = "/api/v1"

// Who may call a route; what of it they see is the scope's business (scope.go).
var (
	anyone  []alerts.Role // without a session
	members = []alerts.Role{alerts.RoleAdmin, alerts.RoleOffice, alerts.RoleTeam}
	duty    = []alerts.Role{alerts.RoleAdmin, alerts.RoleOffice}
	admins  = []alerts.Role{alerts.RoleAdmin}
)

type handler func(*API, *gin.Context, scope) error

var routes = []struct {
	method string
	path   string
	roles  []alerts.Role
	handle handler
}{
	{http.MethodPost, "/sessions", anyone, (*API).createSession},
	{http.MethodGet, "/sessions/current", members, (*API).showSession},
	{http.MethodDelete, "/sessions/current", members, (*API).deleteSession},

	{http.MethodGet, "/areas", members, (*API).listAreas},
	{http.MethodGet, "/teams", members, (*API).listTeams},
	{http.MethodGet, "/devices", duty, (*API).listDevices},
	{http.MethodPost, "/devices", admins, (*API).createDevice},
	{http.MethodGet, "/devices/export", duty, (*API).exportDevices},
	{http.MethodPost, "/devices/import", admins, (*API).importDevices},
	{http.MethodGet, "/devices/:id", duty, (*API).showDevice},
	{http.MethodPatch, "/devices/:id", admins, (*API).updateDevice},
	{http.MethodDelete, "/devices/:id", admins, (*API).retireDevice},
	{http.MethodPost, "/devices/:id/credential", admins, (*API).rotateCredential},
	{http.MethodDelete, "/devices/:id/credential", admins, (*API).revokeCredential},
	{http.MethodGet, "/devices/:id/readings", duty, (*API).listReadings},
	{http.MethodGet, "/devices/:id/track", duty, (*API).showTrack},
	{http.MethodGet, "/devices/:id/windows", duty, (*API).listWindows},
	{http.MethodGet, "/latest", duty, (*API).showLatest},

	{http.MethodGet, "/devices/:id/commands", duty, (*API).listDeviceCommands},
	{http.MethodPost, "/devices/:id/commands", duty, (*API).createCommand},
	{http.MethodGet, "/commands", duty, (*API).listCommands},
	{http.MethodDelete, "/commands/:id", duty, (*API).withdrawCommand},

	{http.MethodGet, "/alerts", duty, (*API).listAlerts},
	{http.MethodGet, "/alerts/:id", members, (*API).showAlert},
	{http.MethodPost, "/alerts/:id/acks", duty, (*API).createAck},

	{http.MethodGet, "/incidents", duty, (*API).listIncidents},
	{http.MethodGet, "/incidents/:id", duty, (*API).showIncident},
	{http.MethodPost, "/incidents/:id/confirmations", duty, (*API).confirmIncident},
	{http.MethodPost, "/incidents/:id/refutations", duty, (*API).refuteIncident},
	{http.MethodGet, "/silences", duty, (*API).listSilences},
	{http.MethodPost, "/silences", duty, (*API).createSilence},
	{http.MethodDelete, "/silences/:id", duty, (*API).liftSilence},
	{http.MethodGet, "/holdbacks", duty, (*API).listHoldbacks},

	{http.MethodGet, "/orders", members, (*API).listOrders},
	{http.MethodPost, "/orders", duty, (*API).createOrder},
	{http.MethodGet, "/orders/:id", members, (*API).showOrder},
	{http.MethodPost, "/orders/:id/answers", members, (*API).createAnswer},

	{http.MethodGet, "/warnings", members, (*API).listWarnings},
	{http.MethodPost, "/warnings", duty, (*API).createWarning},
	{http.MethodGet, "/warnings.atom", members, (*API).listWarningsAtom},
	{http.MethodGet, "/warnings/:id", members, (*API).showWarning},
	{http.MethodGet, "/seasons", members, (*API).listSeasons},
	{http.MethodGet, "/seasons/calendar", members, (*API).showSeasonCalendar},

	{http.MethodGet, "/rules", duty, (*API).showRules},
	{http.MethodGet, "/sources", duty, (*API).listSources},
	{http.MethodPost, "/sources", duty, (*API).createSources},

	{http.MethodGet, "/hotspots", duty, (*API).listHotspots},
	{http.MethodPost, "/hotspots", duty, (*API).createHotspots},

	{http.MethodGet, "/readiness", duty, (*API).listReadiness},
	{http.MethodPost, "/readiness/confirmations", duty, (*API).confirmReadiness},
	{http.MethodGet, "/readiness/table", duty, (*API).showReadinessTable},
	{http.MethodPost, "/readiness/table", duty, (*API).createReadinessTable},
	{http.MethodPost, "/readiness/table/:version/approval", duty, (*API).approveReadinessTable},
	{http.MethodGet, "/readiness/:area/history", duty, (*API).showReadinessHistory},
	{http.MethodGet, "/documents/:kind", duty, (*API).listDocuments},
	{http.MethodGet, "/documents/:kind/:version", duty, (*API).showDocument},

	{http.MethodGet, "/danger", members, (*API).listDanger},
	{http.MethodGet, "/danger/series", members, (*API).listDangerSeries},
	{http.MethodGet, "/danger/stations/:id", members, (*API).listStationDanger},

	{http.MethodGet, "/events", members, (*API).streamEvents},
	{http.MethodGet, "/status", anyone, (*API).showStatus},
	{http.MethodGet, "/openapi.yaml", anyone, (*API).showOpenAPI},
	{http.MethodGet, "/openapi.json", anyone, (*API).showOpenAPIJSON},
}

// Register puts every route under Prefix.
func (a *API) Register(r gin.IRouter) {
	g := r.Group(Prefix, a.bound)
	for _, t := range routes {
		g.Handle(t.method, t.path, a.serve(t.roles, t.handle))
	}
}
