// The HTTP API of firewatch, version 1: its JSON and a client. The types mirror
// api/v1/types.go; times are RFC 3339 strings in UTC, absent ones are null.

export type Role = 'admin' | 'office' | 'team'
export type Severity = 'notice' | 'blue' | 'yellow' | 'orange' | 'red'
export type Level = Exclude<Severity, 'notice'>
export type TeamKind = 'professional' | 'township'
export type Liveness = 'online' | 'late' | 'silent' | 'never_seen' | 'unknown'
export type OrderKind = 'standby' | 'forward' | 'check' | 'muster' | 'stand_down'
export type DeliveryState =
  | 'pending' | 'sending' | 'sent' | 'delivered' | 'read' | 'answered' | 'failed' | 'stale'
export type PersonAnswer = 'accepted' | 'standby' | 'rejected' | 'in_position' | 'stood_down'
export type Answer = 'delivered' | 'read' | PersonAnswer
export type SeasonKind = 'prevention' | 'high_danger' | 'closure'
export type EventType =
  | 'alert' | 'order' | 'delivery' | 'warning' | 'season' | 'roster' | 'command'
  | 'incident' | 'silence' | 'danger' | 'readiness' | 'document' | 'hotspot'
export type Posture = 'normal' | 'standby' | 'defence' | 'combat_ready' | 'emergency'
export type Flood = 'none' | 'slowed' | 'cut'
export type Calibration = 'unknown' | 'calibrating' | 'calibrated' | 'due'
export type CommandKind = 'message' | 'locate' | 'return' | 'config'
export type CommandState =
  | 'queued' | 'sent' | 'delivered' | 'read' | 'answered' | 'expired' | 'superseded' | 'withdrawn'

export interface List<T> { items: T[]; next: string | null }
export interface FieldError { field: string; message: string }
export interface Problem {
  type: string; title: string; status: number; code: string; detail?: string; errors?: FieldError[]
}
export interface Me {
  username: string; name: string; role: Role; area: string; area_name: string
  team: string; team_name: string; demo: boolean
}
export interface Part { name: string; ok: boolean; reason: string }
export interface Status { version: string; demo: boolean; parts: Part[] | null }
export interface Area {
  code: string; name: string; level: 'city' | 'county' | 'township'; parent: string
  lat: number; lon: number; surveyed: boolean; outline?: GeoJSON.Geometry | null
}
export interface Team {
  id: string; name: string; kind: TeamKind; area: string; area_name: string
  lat: number; lon: number; members: number; contact: string; phone: string
}
export interface Reading {
  device: string; class: string; measured: string; received: string; seq: number | null
  values: Record<string, number>; code?: string; text?: string
}
export interface Quarantine { total: number; last_reason: string; last: string; example: string }
export interface Device {
  id: string; kind: 'tracker' | 'sensor'; area: string; area_name: string; name: string
  lat: number | null; lon: number | null; expect_s: number; disabled: boolean
  liveness: Liveness; last: Reading | null; quarantine: Quarantine | null; health: Health | null
  site: string; phone: string; model: string; alias: string; firmware: string; firmware_reported: string
  calibration: Calibration; calibrated_at: string | null; credential: 'none' | 'active' | 'revoked'
}
/** What the stream of a device's messages tells of the device itself; null: not known. */
export interface Health {
  measured: string | null; received: string | null
  skew_s: number | null // the device's clock ahead of ours; negative: behind
  buffered: number | null // readings that wait in the device
  battery_pct: number | null; battery_rate: number | null; days_left: number | null // % and % a day
  missing: number; repeated: number; resets: number // of the sequence numbers; missing is unknown, not lost
  flood: Flood
}
export interface DeviceQuery {
  kind?: string; area?: string; q?: string; liveness?: string; limit?: number; cursor?: string
}
/** Of all that the other filters leave. never_seen is counted in silent, or in unknown when nobody expects it. */
export interface DevicePage extends List<Device> { counts?: Record<Liveness, number> }
/** The registry's part of a device, as it is sent; what is left out stays. */
export interface DeviceRequest {
  id?: string; kind?: string; area?: string; name?: string; site?: string; phone?: string; lat?: number; lon?: number
  expect_s?: number; disabled?: boolean; model?: string; alias?: string; firmware?: string
  calibration?: Calibration; calibrated_at?: string
}
/** All that a device needs to connect; shown once, never stored. */
export interface Card {
  username: string; password: string; host: string; port: number; tls: boolean; url: string
  publish: string[]; subscribe: string[]; qr_text: string; qr_svg: string
}
export interface ImportReport {
  dry_run: boolean; added: number; changed: number; removed: number; unchanged: number
  changes: { id: string; change: 'added' | 'changed' | 'removed'; columns: string[] }[]
  errors: { sheet: string; row: number; column: string; message: string }[]
}
/** What was measured in [at, at + the window's length); windows without readings are not there. */
export interface Window {
  at: string; count: number
  min: Record<string, number>; mean: Record<string, number>; max: Record<string, number>
}
export interface Command {
  id: string; device: string; kind: CommandKind; text: string; drill: boolean
  issuer: string; issuer_name: string; issued: string; expires: string; state: CommandState; open: boolean
  sent: string | null; delivered: string | null; read: string | null; ended: string | null
  answer: string; reason: string; by: string // by: who answered or withdrew it, or the newer command in its place
}
export interface Evidence {
  device: string; measured: string; received: string; field: string; value: number; note: string
}
export interface Ack { by: string; by_name: string; at: string; note: string }
export interface Alert {
  id: string; rule: string; rule_version: string; device: string; area: string; area_name: string
  lat: number | null; lon: number | null; severity: Severity; state: 'firing' | 'resolved'
  summary: string; summary_en: string; reasons: string[] | null
  measured: string; raised: string; late_s: number; resolved: string | null; updated: string
  evidence: Evidence[] | null; acks: Ack[] | null; order: string; incident?: string; hush?: Hush | null; demo: boolean
  // of one alert that is asked for by itself
  explanation?: Explanation; sentence?: string; sentence_en?: string; series?: Series
}
/** What keeps an alert from people. */
export interface Hush { kind: 'silenced' | 'inhibited'; by: string; why: string; since: string; until: string | null }
/** What was known of a place; danger 0 and dry_days -1 or null: not known. */
export interface Surroundings {
  season: SeasonKind | ''; season_unknown: boolean; warning: Level | ''; warning_event: string; warning_unknown: boolean
  danger: number; danger_held: boolean; dry_days: number | null; special: string
}
export interface Explanation {
  condition: string; why: string; values: Record<string, number>; base: Severity
  raised: { by: string; why: string; from: Severity; to: Severity }[]
  inputs: Surroundings; outcome: '' | 'actionable' | 'record_only' | 'closes_question'
  held: { at: string; by: string; why: string }[]
}
export interface SeriesLine { device: string; field: string; unit: string; at_ms: number[]; value: number[] }
/** What was measured around an alert; missing says why something is not there. */
export interface Series { from: string; to: string; lines: SeriesLine[]; missing: string }
export interface Incident {
  id: string; area: string; area_name: string; device: string; lat: number | null; lon: number | null
  title: string; severity: Severity; state: 'open' | 'confirmed' | 'refuted' | 'closed'
  began: string; opened: string; updated: string; quiet: string | null; closed: string | null
  confirmed: string | null; refuted: string | null; by: string; by_name: string
  alerts: number; order: string; order_level: Level | null; demo: boolean
}
export interface Silence {
  id: string; rule: string; device: string; area: string; area_name: string; from: string; until: string
  author: string; author_name: string; reason: string; in_force: boolean; ended: string | null; lifted: string
}
export interface SilenceRequest { rule?: string; device?: string; area?: string; until: string; reason: string }
export interface Holdback {
  rule: string; rule_version: string; device: string; area: string; area_name: string; why: string; first: string; last: string; count: number
}
export interface AreaReadiness {
  area: string; area_name: string; posture: Posture; posture_name: string; since: string; by: string; by_name: string; word: string
  proposed: Posture; proposed_name: string; proposed_at: string; open: boolean; reasons: string[]; sentence: string; degraded: boolean
  easing_since: string | null; easing: Posture | ''; inputs: Surroundings; version: string; updated: string
  measures: { row: string; patrols: number; wardens: string; entrances: string }
}
export interface ConfirmationRequest {
  areas: { area: string; proposed: Posture }[]; posture: Posture | ''; word: string; order: boolean; drill: boolean
}
export interface Confirmation { items: AreaReadiness[]; orders: Order[]; shortfalls: string[] }
export interface Document {
  kind: string; version: string; effective: string; author: string; saved: string; approver: string; approved: string | null
  in_force: boolean; body?: string
}
export interface DangerDay {
  area: string; area_name: string; area_level: Area['level']; date: string; level: number; level_name: string
  method: 'htz' | 'fwi'; version: string; value: number | null; dry_days: number | null
  degraded: boolean; held_from: string | null; provisional: boolean; note: string; rated: string | null
  stations: { station: string; km: number; weight: number; value: number; level: number }[] | null
}
export interface Hotspot {
  id: string; lat: number; lon: number; size_km: number; area: string; area_name: string; seen: string; last: string
  satellites: string[]; instrument: string; confidence: 'low' | 'nominal' | 'high'; percent: number | null; frp_mw: number | null
  pixels: number; masked: string; judged: string | null; alert: string
}
export interface Targets { areas: string[]; teams: string[]; kinds: string[] }
export interface OrderRequest {
  kind: OrderKind; level: Level; text: string; targets: Targets; drill: boolean; alert: string
}
export interface Tally {
  total: number; sent: number; delivered: number; read: number; answered: number
  failed: number; answer_rate: number
}
export interface Delivery {
  team: string; team_name: string; team_kind: TeamKind; area: string; area_name: string
  phone: string; reason: string; state: DeliveryState
  sent: string | null; delivered: string | null; read: string | null; answered: string | null
  answer: string; answer_note: string; answered_by: string; on_behalf: boolean
  tries: number; escalation: number; overdue: boolean; last_error: string
}
export interface Attempt {
  team: string; channel: string; at: string; try: number; error: string; note: string
}
export interface Order {
  id: string; kind: OrderKind; level: Level; text: string; drill: boolean; demo: boolean
  alert: string; issuer: string; issuer_name: string; area: string; area_name: string
  lat: number | null; lon: number | null; issued: string; answer_by: string
  status: 'open' | 'complete' | 'cancelled'; completed: string | null
  shortfalls: string[] | null; tally: Tally; deliveries?: Delivery[]; attempts?: Attempt[]
}
export interface CommandRequest { kind: CommandKind; text: string; drill: boolean; expires_s: number }
/** Where a tracker was, simplified to a zoom; between two lines nobody knows where it was. */
export interface Track {
  type: 'Feature'
  geometry: GeoJSON.MultiLineString
  properties: {
    readings: number; vertices: number; gap_s: number; tolerance_m: number; times_ms: number[][]; glitch_count: number; until: string | null
    marks: { class: string; measured: string; lat: number | null; lon: number | null; code: string; text: string }[]
  }
}
/** said: when the person said it, RFC 3339, by this device's clock. */
export interface AnswerRequest { team?: string; answer: Answer; reason?: string; by?: string; said?: string }
export interface WarningBlock { area: string; area_desc: string; level: Severity; from: string; to: string }
export interface Warning {
  id: string; identifier: string; sender: string; sent: string; status: string; msg_type: string
  event: string; event_code: string; issuer: string; headline: string; text: string; measures: string
  blocks: WarningBlock[] | null; in_force: boolean; ended: string | null; ended_by: string; received: string
  unmatched: string[] | null // what lies in none of our areas
}
export interface SpecialRun { name: string; area: string; area_name: string; on: string; from: string; to: string; reason: string }
export interface SeasonDay {
  area: string; area_name: string; date: string; kinds: SeasonKind[] | null; version: string
  inherited_from?: string | null; special?: SpecialRun | null; until?: string | null
}
export interface ServerEvent { at: string; type: EventType; subject: Record<string, string> | null }

/** An error answer of the server, or none at all (status 0). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly errors: FieldError[]
  constructor(status: number, code: string, message: string, errors: FieldError[] = []) {
    super(message)
    this.status = status
    this.code = code
    this.errors = errors
  }
  /** Trying the same again later may work. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

/**
 * A Clock learns from the server's answers how wrong this device's clock is. The
 * server tells the time in whole seconds, so less than some seconds is nothing,
 * and a lead once learned is kept until it is clearly another: the same time is
 * to be told the same way each time it is sent.
 */
export class Clock {
  private aheadMs = 0
  hear(date: string | null, asked: number, heard: number): void {
    const told = Date.parse(date ?? '')
    if (Number.isNaN(told) || heard - asked > 5000) return
    const ahead = (asked + heard) / 2 - (told + 500)
    if (Math.abs(ahead - this.aheadMs) > 3000) this.aheadMs = Math.abs(ahead) > 3000 ? ahead : 0
  }
  /** The time as it would have been on a right clock. */
  right(iso: string | undefined): string | undefined {
    return iso && new Date(Date.parse(iso) - this.aheadMs).toISOString()
  }
}

type Query = Record<string, string | number | boolean | undefined>

const base = '/api/v1'
const timeoutMs = 20_000

export interface ClientOptions {
  /** Called when the session is not (or no longer) valid. */
  onUnauthenticated?: () => void
}

/** createClient returns the calls of the API; the session is a cookie. */
export function createClient(options: ClientOptions = {}) {
  const clock = new Clock()
  async function call<T>(method: string, path: string, init: { query?: Query; body?: unknown; file?: Blob; headers?: Record<string, string>; quiet?: boolean; patienceMs?: number } = {}): Promise<T> {
    const query = new URLSearchParams()
    for (const [k, v] of Object.entries(init.query ?? {})) if (v !== undefined && v !== '') query.set(k, String(v))
    const url = base + path + (query.size > 0 ? `?${query}` : '')
    const headers: Record<string, string> = { Accept: 'application/json', ...init.headers }
    if (init.body !== undefined) headers['Content-Type'] = 'application/json'
    let response: Response
    let text: string
    const asked = Date.now()
    try {
      response = await fetch(url, {
        method,
        headers,
        body: init.file ?? (init.body === undefined ? undefined : JSON.stringify(init.body)),
        credentials: 'same-origin',
        cache: 'no-store',
        signal: AbortSignal.timeout(init.patienceMs ?? timeoutMs),
      })
      text = await response.text()
    } catch (cause) {
      const slow = cause instanceof DOMException && cause.name === 'TimeoutError'
      throw new ApiError(0, 'network', slow ? '服务器没有回应 no answer' : '没有连接 no connection')
    }
    clock.hear(response.headers.get('Date'), asked, Date.now())
    if (!response.ok) {
      const p = parse<Partial<Problem>>(text)
      if (response.status === 401 && !init.quiet) options.onUnauthenticated?.()
      const message = [p?.title ?? `HTTP ${response.status}`, p?.detail].filter(Boolean).join('：')
      throw new ApiError(response.status, p?.code ?? 'http', message, p?.errors ?? [])
    }
    if (text === '') return undefined as T
    const value = parse<T>(text)
    if (value === undefined) throw new ApiError(response.status, 'not_json', 'answer is not JSON')
    return value
  }

  /** all follows the cursor to the end, at most `pages` pages. */
  async function all<T>(path: string, query: Query = {}, pages = 40): Promise<T[]> {
    const items: T[] = []
    let cursor: string | undefined
    for (let n = 0; n < pages; n++) {
      const page: List<T> = await call('GET', path, { query: { limit: 1000, ...query, cursor } })
      items.push(...(page.items ?? []))
      if (!page.next) break
      cursor = page.next
    }
    return items
  }

  const id = encodeURIComponent
  return {
    login: (username: string, password: string) =>
      call<{ token: string; expires: string; user: Me }>('POST', '/sessions', { body: { username, password }, quiet: true }),
    me: () => call<Me>('GET', '/sessions/current', { quiet: true }),
    logout: () => call<void>('DELETE', '/sessions/current', { quiet: true }),
    status: () => call<Status>('GET', '/status', { quiet: true }),

    areas: () => all<Area>('/areas', { outline: true }),
    teams: () => all<Team>('/teams'),
    devices: () => all<Device>('/devices', { seen: true }),
    device: (device: string) => call<Device>('GET', `/devices/${id(device)}`),
    readings: (device: string, from: Date, to: Date) =>
      all<Reading>(`/devices/${id(device)}/readings`, { from: from.toISOString(), to: to.toISOString() }, 3),
    devicePage: (query: DeviceQuery) => call<DevicePage>('GET', '/devices', { query: { ...query } }),
    windows: (device: string, kind: string, from: Date, to: Date) =>
      call<{ every_s: number; items: Window[] }>('GET', `/devices/${id(device)}/windows`, { query: { class: kind, from: from.toISOString(), to: to.toISOString() } }),
    track: (device: string, from: Date, to: Date, zoom: number) =>
      call<Track>('GET', `/devices/${id(device)}/track`, { query: { from: from.toISOString(), to: to.toISOString(), zoom } }),
    createDevice: (request: DeviceRequest) => call<{ device: Device; card: Card }>('POST', '/devices', { body: request }),
    updateDevice: (device: string, request: DeviceRequest) => call<Device>('PATCH', `/devices/${id(device)}`, { body: request }),
    retireDevice: (device: string) => call<void>('DELETE', `/devices/${id(device)}`),
    rotateCredential: (device: string) => call<Card>('POST', `/devices/${id(device)}/credential`),
    revokeCredential: (device: string) => call<void>('DELETE', `/devices/${id(device)}/credential`),
    /** A workbook of thousands of devices takes the server a while. */
    importDevices: (file: Blob, type: string, query: { dry_run: boolean; remove: boolean }) =>
      call<ImportReport>('POST', '/devices/import', { query, file, headers: { 'Content-Type': type }, patienceMs: 120_000 }),
    exportUrl: (format: 'csv' | 'xlsx', area: string) => `${base}/devices/export?${new URLSearchParams({ format, ...(area ? { area } : {}) })}`,

    commands: (device: string) => call<List<Command>>('GET', `/devices/${id(device)}/commands`, { query: { limit: 50 } }),
    createCommand: (device: string, request: CommandRequest, key: string) =>
      call<Command>('POST', `/devices/${id(device)}/commands`, { body: request, headers: { 'Idempotency-Key': key } }),
    withdrawCommand: (command: string, reason: string) => call<Command>('DELETE', `/commands/${id(command)}`, { query: { reason } }),

    alerts: (query: { state?: string; limit?: number } = {}) => call<List<Alert>>('GET', '/alerts', { query }),
    alert: (alert: string) => call<Alert>('GET', `/alerts/${id(alert)}`),
    incidents: (query: { open?: boolean; limit?: number } = {}) => call<List<Incident>>('GET', '/incidents', { query }),
    /** A person's word: it is a fire, or it is none. */
    judgeIncident: (incident: string, fire: boolean, note: string) =>
      call<Incident>('POST', `/incidents/${id(incident)}/${fire ? 'confirmations' : 'refutations'}`, { body: { note } }),
    silences: (over: boolean) => call<List<Silence>>('GET', '/silences', { query: { over, limit: 1000 } }),
    createSilence: (request: SilenceRequest) => call<Silence>('POST', '/silences', { body: request }),
    liftSilence: (silence: string) => call<Silence>('DELETE', `/silences/${id(silence)}`),
    holdbacks: () => call<List<Holdback>>('GET', '/holdbacks', { query: { limit: 500 } }),

    readiness: () => all<AreaReadiness>('/readiness'),
    confirmReadiness: (request: ConfirmationRequest, key: string) =>
      call<Confirmation>('POST', '/readiness/confirmations', { body: request, headers: { 'Idempotency-Key': key } }),
    readinessHistory: (area: string) => call<List<AreaReadiness>>('GET', `/readiness/${id(area)}/history`, { query: { limit: 50 } }),
    readinessTable: () => call<Document>('GET', '/readiness/table'),

    danger: () => all<DangerDay>('/danger'),
    dangerSeries: (area: string) => call<List<DangerDay>>('GET', '/danger/series', { query: { area } }),
    hotspots: (from: Date) => all<Hotspot>('/hotspots', { from: from.toISOString() }, 2),

    ack: (alert: string, note: string) => call<unknown>('POST', `/alerts/${id(alert)}/acks`, { body: { note } }),

    orders: (query: { status?: string; limit?: number } = {}) => call<List<Order>>('GET', '/orders', { query }),
    order: (order: string) => call<Order>('GET', `/orders/${id(order)}`),
    createOrder: (request: OrderRequest, key: string) =>
      call<Order>('POST', '/orders', { body: request, headers: { 'Idempotency-Key': key } }),
    answer: (order: string, request: AnswerRequest) =>
      call<unknown>('POST', `/orders/${id(order)}/answers`, { body: { ...request, said: clock.right(request.said) } }),

    warnings: () => call<List<Warning>>('GET', '/warnings', { query: { in_force: true, limit: 100 } }),
    seasons: () => all<SeasonDay>('/seasons'),

    /** The address of the event stream. */
    eventsUrl: `${base}/events`,
  }
}

export type Client = ReturnType<typeof createClient>

function parse<T>(text: string): T | undefined {
  try {
    return JSON.parse(text) as T
  } catch {
    return undefined
  }
}
