import type zh from './office.zh'

const en: typeof zh = {
  danger: {
    layer: 'Fire danger', title: 'Fire danger', level: { 0: 'unknown', 1: 'low', 2: 'moderate', 3: 'considerable', 4: 'high', 5: 'extreme' }, n: 'level {n}', unknown: 'level unknown',
    legend: 'Legend of fire danger', marked: 'degraded', markedHint: 'Stripes: an earlier level, or too few stations', unread: 'Fire danger not read: {reason}', reading: 'Reading fire danger…',
    method: 'Method', methods: { htz: 'Fire weather class (LY/T 1172)', fwi: 'Canadian Fire Weather Index' }, value: 'Index', dry: 'Days without rain', days: '{n} d', version: 'Algorithm', rated: 'Rated',
    held: 'level of {d} still held', degraded: 'Degraded: too few stations, or an earlier level', provisional: 'The day is not over: by the last 24 hours', stations: 'Stations behind it', station: 'Station', km: 'Distance', weight: 'Weight', none: 'No station could be used',
    series: 'Last 30 days', seriesAway: 'Cannot be read: {reason}', pick: 'Click a township for its fire danger', unratedDay: 'not rated', max: 'highest',
  },
  hotspot: {
    layer: 'Hotspots', n: '{n}', masked: 'Known heat source, no alert', maskedBy: 'registered source {s}', fileMask: 'static by the satellite product', title: 'Satellite hotspot', seen: 'First pass', last: 'Latest pass', satellites: 'Satellites', confidence: 'Confidence', power: 'Radiative power',
    pixels: 'Pixels', size: 'Pixel width', level: { low: 'low', nominal: 'nominal', high: 'high' }, notJudged: 'not judged yet', noAlert: 'raised no alert', toAlert: 'Show alert', outside: 'outside', unread: 'Hotspots not read: {reason}',
  },
  incident: {
    n: 'alerts: {n}', noAlerts: 'no visible alert', state: { open: 'to verify', confirmed: 'fire confirmed', refuted: 'refuted', closed: 'over' }, confirm: 'Confirm fire', refute: 'Refute', sureConfirm: 'It is a fire', sureRefute: 'It is no fire',
    confirmHint: 'Lesser sensor alerts of the place no longer disturb.', refuteHint: 'The incident ends and gives no more orders by itself.', note: 'Note (optional)', by: '{what} by {who}', quiet: 'alerts are over', quietSince: 'quiet since', more: '{n} more', fold: 'Fold',
    order: 'Order', mark: 'Incident: {s}',
  },
  why: {
    title: 'Why', reading: 'Reading the explanation…', away: 'Explanation not read: {reason}', more: 'Show all', less: 'Fold', values: 'Values then', raised: 'Severity', base: 'by the rule', notRaised: 'raised by neither season, danger nor warnings',
    by: { season: 'season', warning: 'warning', danger: 'fire danger', special_day: 'special day', unknown: 'unknown, taken strictly' }, inputs: 'Surroundings when measured', season: 'Season', warning: 'Warning', danger: 'Fire danger', dry: 'Days without rain', special: 'Special day',
    unknown: 'unknown', none: 'none', heldLevel: 'held', outcome: { actionable: 'late, still calls people', record_only: 'late, on record only', closes_question: 'late, answered what was open' }, late: 'Late data', held: 'Held back',
    heldBy: { inhibition: 'inhibition', silence: 'silence', late: 'late', calibrating: 'calibrating', blind: 'blind time', gate: 'gate', incident: 'same incident' }, nothingHeld: 'nothing was held back', rule: 'Rule', condition: 'Condition',
    suspect: '{f} bound', f: { latest: 'latest', min: 'min', max: 'max', avg: 'mean', rise: 'rise', rate: 'rate', count: 'count', age: 'age' }, value: { baseline_temp_c: 'Baseline air °C', temp_rise_c: 'Rise °C', silent_s: 'Silent s', expect_s: 'Interval s', limit_s: 'Allowed s', expected: 'Expected', silent: 'Silent', recent: 'Lately silent', confidence_pct: 'Confidence %', frp_mw: 'Power MW', pixels: 'Pixels', satellites: 'Satellites', size_km: 'Pixel width km' },
    series: 'Series around it', moment: 'moment of judgement', threshold: 'bound {n}', proof: 'evidence', noSeries: 'No series to draw', missing: 'Series incomplete: {reason}',
  },
  bundle: { many: 'and more, {n} areas', ack: 'Acknowledge all', busy: 'Acknowledging…' },
  hush: { silenced: 'Silenced', inhibited: 'Inhibited', show: 'Show hushed', by: 'because', until: 'until', hidden: '{n} more are hushed' },
  silence: {
    open: 'Silence…', title: 'Silence', make: 'Silence', busy: 'Saving…', what: 'What', scope: { one: 'this rule of this device', device: 'every rule of this device', area: 'this rule in {n}' }, until: 'Until', ends: 'ends at {t}', reason: 'Reason (needed)', reasonPlaceholder: 'e.g. planned burning, checked with the village',
    for: { 1800: '30 min', 3600: '1 h', 14400: '4 h', 43200: '12 h', 86400: '1 d', 259200: '3 d', 604800: '7 d' }, hint: 'Alerts are recorded all the same; they disturb nobody and give no orders. Graver ones still come forth. An SOS is never silenced.', sos: 'An SOS cannot be silenced',
    list: 'Silences and hold-backs', manage: 'Silences', none: 'No silence in force', past: 'Those of the last 30 days too', lift: 'Lift', sureLift: 'Lift now', lifted: 'lifted by {who}', over: 'over', everyRule: 'every rule', everyDevice: 'every device', col: { what: 'What', until: 'Ends', author: 'By', reason: 'Reason' },
    holdbacks: 'Hold-backs', holdbacksHint: 'What rules judged and did not raise; the newest 500.', noHoldbacks: 'Nothing was held back', times: '{n}×', away: 'Cannot be read: {reason}',
  },
  ready: {
    title: 'Readiness', table: 'Table {v}', effective: 'in force since {d}', tableBy: 'by {a}', fromFile: 'from a file', approvedBy: 'approved by {a}', showTable: 'Show the table', tableAway: 'Table not read: {reason}',
    n: '{n} to confirm', calm: 'Nothing to confirm', unread: 'Readiness not read: {reason}', all: 'All to confirm', clear: 'Clear', chosen: '{n} chosen', filter: 'Find a township', onlyOpen: 'Only those to confirm', professional: 'Professional teams',
    posture: { normal: 'Normal', standby: 'Standby', defence: 'Defence', combat_ready: 'Combat ready', emergency: 'Emergency' },
    col: { area: 'Area', now: 'Now', proposed: 'Proposed', why: 'Why', inputs: 'Inputs', measures: 'Measures' }, since: 'since', by: 'by {who}', automatic: 'by the table', same: 'as it is', open: 'to confirm', degraded: 'inputs incomplete', easing: 'since {t} only {p} is needed',
    patrols: '{n} patrols a day each', season: 'Season', warning: 'Warning', danger: 'danger {n}', dangerUnknown: 'danger unknown', seasonUnknown: 'season unknown', warningUnknown: 'warnings unknown', noWarning: 'no warning', held: 'held', dry: '{n} d dry', offSeason: 'off season',
    confirm: 'Confirm {n} as proposed', confirmAs: 'Set {p} ({n})', change: 'Set to', asProposed: 'as proposed', word: 'Why it differs from the proposal (needed)', wordOptional: 'Note (optional)', order: 'Give the order of the posture too', drill: 'Drill', busy: 'Confirming…', moved: 'The proposal has changed, look again', movedN: '{n} proposals changed before; nothing was set. The list is new: look again, then confirm.',
    done: '{n} confirmed', orders: '{n} orders given', again: 'Not known whether it was done: {reason}. Pressing again does it only once.', shortfalls: 'Not ordered', notMine: 'set by the prefecture', history: 'History', historyOf: 'Readiness history of {n}', noHistory: 'No history yet', select: 'Choose {n}', selectCounty: 'Choose those to confirm in {n}', viewOrder: 'Show order',
  },
}

export default en
