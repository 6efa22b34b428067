package cap

// A kind is the type of a value in the schema, where it is not xs:string.
type kind uint8

const (
	kindString kind = iota
	kindLanguage
	kindURI
	kindInteger
	kindDecimal
)

// spec is what the schema says of one element.
type spec struct {
	name     string
	required bool
	many     bool
	filled   bool     // may not be empty
	large    bool     // may hold an attachment
	kind     kind     // of the value
	words    []string // the values it may have; nil: any
	kids     []*spec  // in order; nil: it holds text
}

func opt(name string) *spec { return &spec{name: name} }

func must(name string) *spec { return &spec{name: name, required: true, filled: true} }

func word(name string, words ...string) *spec { return &spec{name: name, required: true, words: words} }

func several(name string) *spec { return &spec{name: name, many: true} }

func group(name string, kids ...*spec) *spec { return &spec{name: name, many: true, kids: kids} }

func pair(name string) *spec {
	return group(name, must("valueName"), &spec{name: "value", required: true})
}

func (s *spec) each(required bool) *spec { s.many, s.required = true, required; return s }

func (s *spec) attachment() *spec { s.large = true; return s }

func (s *spec) of(k kind) *spec { s.kind = k; return s }

func timeOf(name string) *spec { return &spec{name: name, filled: true} }

func optWords(name string, words ...string) *spec { return &spec{name: name, words: words} }

// A version is one version of CAP.
type version struct {
	name      string
	namespace string
	root      *spec
	signed    bool // elements of XML Signature may follow the infos
	patterned bool // times have the pattern of 1.2: no Z, no fractions
}

// The versions, the newest first. 1.0 and 1.1 are upgraded to 1.2 by what makes
// an Alert of them. Severity is checked where it is read: it may be a colour too.
var versions = []*version{
	{name: "1.2", namespace: Namespace, root: schema12(), signed: true, patterned: true},
	{name: "1.1", namespace: "urn:oasis:names:tc:emergency:cap:1.1", root: schema11(), signed: true},
	{name: "1.0", namespace: "http://www.incident.com/cap/1.0", root: schema10()},
}

func head(middle ...*spec) []*spec {
	return append([]*spec{
		must("identifier"),
		must("sender"),
		must("sent"),
	}, middle...)
}

// schema12 is the element alert of CAP-v1.2.xsd.
func schema12() *spec {
	return &spec{name: "alert", kids: head(
		word("status", "Actual", "Exercise", "System", "Test", "Draft"),
		word("msgType", "Alert", "Update", "Cancel", "Ack", "Error"),
		opt("source"),
		word("scope", "Public", "Restricted", "Private"),
		opt("restriction"),
		opt("addresses"),
		several("code"),
		opt("note"),
		opt("references"),
		opt("incidents"),
		group("info", infoKids(
			word("category", "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other").each(true),
			optWords("responseType", "Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None").each(false),
			word("certainty", "Observed", "Likely", "Possible", "Unlikely", "Unknown"),
			pair,
			group(
				"resource",
				must("resourceDesc"),
				must("mimeType"),
				opt("size").of(kindInteger),
				opt("uri").of(kindURI),
				opt("derefUri").attachment(),
				opt("digest"),
			),
			opt("altitude").of(kindDecimal),
			opt("ceiling").of(kindDecimal),
		)...),
	)}
}

// schema11 is the element alert of the schema in CAP 1.1 (OASIS, October 2005).
func schema11() *spec {
	return &spec{name: "alert", kids: head(
		word("status", "Actual", "Exercise", "System", "Test", "Draft"),
		word("msgType", "Alert", "Update", "Cancel", "Ack", "Error"),
		opt("source"),
		word("scope", "Public", "Restricted", "Private"),
		opt("restriction"),
		opt("addresses"),
		several("code"),
		opt("note"),
		opt("references"),
		opt("incidents"),
		group("info", infoKids(
			word("category", "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other").each(true),
			optWords("responseType", "Shelter", "Evacuate", "Prepare", "Execute", "Monitor", "Assess", "None").each(false),
			word("certainty", "Observed", "Likely", "Very Likely", "Possible", "Unlikely", "Unknown"), // the text of 1.1 keeps Very Likely for 1.0
			pair,
			group(
				"resource",
				must("resourceDesc"),
				opt("mimeType"),
				opt("size").of(kindInteger),
				opt("uri").of(kindURI),
				opt("derefUri").attachment(),
				opt("digest"),
			),
			opt("altitude"),
			opt("ceiling"),
		)...),
	)}
}

// schema10 is the element alert of the schema in CAP 1.0 (OASIS, March 2004).
func schema10() *spec {
	return &spec{name: "alert", kids: head(
		word("status", "Actual", "Exercise", "System", "Test"),
		word("msgType", "Alert", "Update", "Cancel", "Ack", "Error"),
		opt("password"),
		opt("source"),
		optWords("scope", "Public", "Restricted", "Private"),
		opt("restriction"),
		opt("addresses"),
		several("code"),
		opt("note"),
		opt("references"),
		opt("incidents"),
		group("info", infoKids(
			optWords("category", "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "Other").each(false),
			nil,
			word("certainty", "Very Likely", "Likely", "Possible", "Unlikely", "Unknown"),
			several, // NAME=VALUE
			group(
				"resource",
				must("resourceDesc"),
				opt("mimeType"),
				opt("size").of(kindInteger),
				opt("uri").of(kindURI),
				opt("digest"),
			),
			opt("altitude"),
			opt("ceiling"),
		)...),
	)}
}

// infoKids are the elements of an info, in which the versions differ little.
func infoKids(category, response, certainty *spec, named func(string) *spec, resource, altitude, ceiling *spec) []*spec {
	kids := []*spec{
		opt("language").of(kindLanguage),
		category,
		must("event"),
	}
	if response != nil {
		kids = append(kids, response)
	}
	return append(
		kids,
		word("urgency", "Immediate", "Expected", "Future", "Past", "Unknown"),
		must("severity"),
		certainty,
		opt("audience"),
		named("eventCode"),
		timeOf("effective"),
		timeOf("onset"),
		timeOf("expires"),
		opt("senderName"),
		opt("headline"),
		opt("description"),
		opt("instruction"),
		opt("web").of(kindURI),
		opt("contact"),
		named("parameter"),
		resource,
		group(
			"area",
			must("areaDesc"),
			several("polygon"),
			several("circle"),
			named("geocode"),
			altitude,
			ceiling,
		),
	)
}
