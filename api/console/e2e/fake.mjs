// A small server that speaks the API of api/v1/types.go over made-up data, and
// serves the built console under the same policy as the real one. For
// developing and testing the console only.
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { dirname, extname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'
import { furnish, makeDesk } from './desk.mjs'
import { makeJudge } from './judge.mjs'
import { makeAlerts, makeAreas, makeDevices, makeSeasons, makeTeams, makeWarnings, seeded } from './world.mjs'

const dist = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist')
const policy = "default-src 'self'; worker-src 'self' blob:; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; connect-src 'self'"
const mime = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const answers = ['accepted', 'standby', 'rejected', 'in_position', 'stood_down']
const answerMinutes = { red: 5, orange: 15, yellow: 30, blue: 60 }

export async function startFake({ port = 0 } = {}) {
  const t0 = Date.now()
  const iso = (ms = Date.now()) => new Date(ms).toISOString()
  const areas = makeAreas()
  const teams = makeTeams(areas)
  const devices = makeDevices(areas, t0)
  furnish(devices, t0)
  const alerts = makeAlerts(devices, t0)
  const warnings = makeWarnings(t0)
  const seasons = makeSeasons(t0)
  const orders = new Map()
  const byKey = new Map()
  const sessions = new Map()
  const events = []
  const streams = new Set()
  const timers = new Set()
  let serial = 0

  const teamLogins = teams.filter((t) => t.kind === 'township').slice(0, 4)
  const logins = [
    { username: 'city', password: 'city-pass', role: 'office', area: '1306', team: '' },
    { username: 'admin', password: 'admin-pass', role: 'admin', area: '1306', team: '' },
    { username: 'yixian', password: 'yixian-pass', role: 'office', area: '130633', team: '' },
    ...teamLogins.map((t) => ({ username: t.id, password: `${t.id}-pass`, role: 'team', area: t.area, team: t.id })),
  ]

  const within = (code, scope) => {
    for (let c = code; c; c = areas.find((a) => a.code === c)?.parent) if (c === scope) return true
    return false
  }
  const areaName = (code) => areas.find((a) => a.code === code)?.name ?? ''

  function later(ms, f) {
    const timer = setTimeout(() => {
      timers.delete(timer)
      f()
    }, ms)
    timers.add(timer)
  }

  function emit(type, subject, sees = () => true) {
    const event = { id: events.length + 1, type, sees, data: JSON.stringify({ at: iso(), type, subject }) }
    events.push(event)
    for (const s of streams) s.send(event)
  }

  function tally(o) {
    const rank = { pending: 0, sending: 0, failed: 0, stale: 0, sent: 1, delivered: 2, read: 3, answered: 4 }
    const n = (r) => o.deliveries.filter((d) => rank[d.state] >= r).length
    const total = o.deliveries.length
    return {
      total, sent: n(1), delivered: n(2), read: n(3), answered: n(4), failed: o.deliveries.filter((d) => d.state === 'failed').length,
      answer_rate: total === 0 ? 0 : n(4) / total,
    }
  }

  function createOrder(issuer, request, picked, issued = Date.now()) {
    const alert = alerts.find((a) => a.id === request.alert)
    const id = `or-${String(++serial).padStart(6, '0')}`
    const order = {
      id, kind: request.kind, level: request.level, text: request.text, drill: request.drill === true, demo: true, alert: request.alert ?? '',
      issuer, issuer_name: '保定市防火办', area: '1306', area_name: '保定市', lat: alert?.lat ?? null, lon: alert?.lon ?? null,
      issued: iso(issued), answer_by: iso(issued + answerMinutes[request.level] * 60_000), status: 'open', completed: null, shortfalls: [],
      deliveries: picked.map((t) => ({
        team: t.id, team_name: t.name, team_kind: t.kind, area: t.area, area_name: t.area_name, phone: t.phone, reason: `${t.area_name}在命令范围内`,
        state: 'pending', sent: null, delivered: null, read: null, answered: null, answer: '', answer_note: '', answered_by: '', on_behalf: false,
        tries: 0, escalation: 0, overdue: false, last_error: '',
      })),
      attempts: [],
    }
    orders.set(id, order)
    if (alert) alert.order = id
    return order
  }

  function send(o, d, at = Date.now()) {
    d.state = 'sent'
    d.sent = iso(at)
    d.tries++
    o.attempts.push({ team: d.team, channel: 'mqtt', at: iso(at), try: d.tries, error: '', note: '' })
  }

  function answer(o, d, request, by, onBehalf, at = Date.now()) {
    if (request.answer === 'delivered' || request.answer === 'read') {
      d.delivered ??= iso(at)
      if (request.answer === 'read') d.read ??= iso(at)
      if (['pending', 'sending', 'sent', 'delivered'].includes(d.state)) d.state = request.answer === 'read' || d.read ? 'read' : 'delivered'
    } else {
      d.state = 'answered'
      d.answered = iso(at)
      d.overdue = false
      Object.assign(d, { answer: request.answer, answer_note: request.reason ?? '', answered_by: request.by || by, on_behalf: onBehalf })
    }
    if (o.status === 'open' && o.deliveries.every((x) => x.state === 'answered')) {
      o.status = 'complete'
      o.completed = iso(at)
      emit('order', { id: o.id })
    }
    emit('delivery', { order: o.id, team: d.team }, (u) => u.role !== 'team' || u.team === d.team)
  }

  // An order that was given some minutes ago and stands in every state.
  const story = createOrder('city', { kind: 'standby', level: 'orange', text: '涞源、易县森林火险橙色预警生效。各队立即进入待命状态，人员在岗、装备装车，保持通信畅通。', drill: false }, teams, t0 - 240_000)
  const rnd = seeded(3)
  story.deliveries.forEach((d, i) => {
    const r = rnd()
    if (r > 0.03) send(story, d, t0 - 238_000)
    if (r > 0.1) answer(story, d, { answer: 'delivered' }, '', false, t0 - 200_000)
    if (r > 0.25) answer(story, d, { answer: 'read' }, '', false, t0 - 150_000)
    if (r > 0.4) answer(story, d, { answer: r > 0.45 ? 'standby' : 'accepted', by: '队长' }, '', false, t0 - 100_000)
    if (r > 0.985) answer(story, d, { answer: 'rejected', reason: '车辆故障', by: '队长' }, '', false, t0 - 90_000)
    if (r < 0.06 && r > 0.03) Object.assign(d, { state: 'failed', last_error: 'mqtt: not connected', tries: 3 })
    if (r > 0.25 && r < 0.29) Object.assign(d, { overdue: true, escalation: 1 + (i % 2) })
  })
  createOrder('city', { kind: 'muster', level: 'blue', text: '春季防火集结演练，各队报告到场人数。', drill: true }, teams.slice(0, 10), t0 - 90_000_000).deliveries.forEach((d) => {
    const o = orders.get('or-000002')
    send(o, d, t0 - 89_900_000)
    answer(o, d, { answer: 'stood_down', by: '队长' }, '', false, t0 - 89_000_000)
  })

  // Wardens walk, sensors breathe.
  const walk = setInterval(() => {
    const now = Date.now()
    for (const d of devices) {
      if (d.liveness !== 'online' || !d.last) continue
      d.last.measured = iso(now - 800)
      d.last.received = iso(now)
      if (d.kind === 'tracker') {
        d.heading += (Math.random() - 0.5) * 0.6
        d.last.values.lon += Math.cos(d.heading) * 0.0008
        d.last.values.lat += Math.sin(d.heading) * 0.0006
      }
    }
  }, 2000)

  function readings(d) {
    if (!d.last) return []
    const rnd = seeded(d.id.length * 31 + Number(d.id.replace(/\D/g, '')))
    const out = []
    for (let t = Date.now() - 20 * 3600_000; t < Date.now(); t += 600_000) {
      if (Math.floor(t / 3600_000) % 9 === 4) continue // an hour without a network
      const warm = Math.sin(((t / 3600_000 + 2) % 24) / 24 * 2 * Math.PI)
      const values = d.kind === 'tracker'
        ? { speed_ms: 1 + rnd() * 0.6, battery_pct: 95 - ((t / 3600_000) % 24) * 2, alt_m: 620 + 80 * warm + rnd() * 9 }
        : { temp_c: 12 + 7 * warm + rnd(), rh_pct: 45 - 18 * warm + rnd() * 3, smoke_obs_pct_m: 0.05 + rnd() * 0.05, co_ppm: 1 + rnd() }
      out.push({ device: d.id, class: d.last.class, measured: iso(t), received: iso(t + 1200), seq: null, values })
    }
    return out
  }

  const desk = makeDesk({ devices, areaName: (code) => areas.find((a) => a.code === code && a.level === 'township')?.name ?? '', emit, later })
  const judge = makeJudge({ areas, alerts, t0, emit, createOrder, teams })
  const problem = (status, code, title, detail) => ({ status, problem: { type: 'about:blank', title, status, code, detail } })
  const list = (items, url) => {
    const limit = Number(url.searchParams.get('limit') ?? 100)
    const from = Number(url.searchParams.get('cursor') ?? 0)
    return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : null }
  }
  const me = (login) => ({
    username: login.username, name: login.role === 'team' ? '' : `${areaName(login.area)}值班员`, role: login.role, area: login.area, area_name: areaName(login.area),
    team: login.team, team_name: teams.find((t) => t.id === login.team)?.name ?? '', demo: true,
  })
  const seesOrder = (u, o) => u.role !== 'team' ? o.deliveries.some((d) => within(d.area, u.area)) : o.deliveries.some((d) => d.team === u.team)
  function orderFor(u, o, full) {
    const { deliveries, attempts, ...rest } = o
    const own = (x) => (u.role === 'team' ? x.filter((d) => d.team === u.team) : x)
    return { ...rest, tally: tally(o), ...(full ? { deliveries: own(deliveries), attempts: own(attempts) } : {}) }
  }

  async function route(method, url, request, user) {
    const path = url.pathname.slice('/api/v1'.length)
    const q = url.searchParams
    const raw = method === 'GET' ? '' : await text(request)
    const body = /json/.test(request.headers['content-type'] ?? '') ? JSON.parse(raw || '{}') : {}
    if (method === 'GET' && path === '/status') {
      return { status: 200, body: { version: 'fake', demo: true, parts: [
        { name: 'store', ok: true, reason: '' }, { name: 'ingest', ok: true, reason: '' }, { name: 'alerts', ok: true, reason: '' }, { name: 'broker', ok: true, reason: '设备连接未加密' },
        { name: 'influxdb', ok: false, reason: '连不上 127.0.0.1:8086，读数已存入日志' },
      ] } }
    }
    if (method === 'POST' && path === '/sessions') {
      const login = logins.find((l) => l.username === body.username && l.password === body.password)
      if (!login) return problem(401, 'unauthenticated', '账号或密码不对')
      const token = randomBytes(16).toString('hex')
      sessions.set(token, login)
      return { status: 201, body: { token, expires: iso(Date.now() + 43_200_000), user: me(login) }, cookie: `firewatch_session=${token}; Path=/; HttpOnly; SameSite=Strict` }
    }
    if (!user) return problem(401, 'unauthenticated', '请先登录')
    if (path === '/sessions/current') {
      if (method === 'DELETE') {
        sessions.delete(user.token)
        return { status: 204, cookie: 'firewatch_session=; Path=/; Max-Age=0' }
      }
      return { status: 200, body: me(user) }
    }
    const parts = path.split('/').slice(1).map(decodeURIComponent)
    if (parts[0] === 'orders') {
      if (method === 'POST' && parts.length === 1) {
        if (user.role === 'team') return problem(403, 'forbidden', '队伍账号不能下达命令')
        const key = `${user.username} ${request.headers['idempotency-key']}`
        if (!request.headers['idempotency-key']) return problem(400, 'invalid', '缺少 Idempotency-Key')
        if (byKey.has(key)) return { status: 200, body: orderFor(user, orders.get(byKey.get(key)), true) }
        const { areas: as = [], teams: ts = [], kinds = [] } = body.targets ?? {}
        const picked = teams.filter((t) => within(t.area, user.area) && (ts.includes(t.id)
          || ((kinds.length === 0 || kinds.includes(t.kind)) && ((as.length === 0 && kinds.length > 0) || as.some((a) => within(t.area, a))))))
        const o = createOrder(user.username, body, picked)
        byKey.set(key, o.id)
        emit('order', { id: o.id }, (u) => seesOrder(u, o))
        for (const [i, d] of o.deliveries.entries()) {
          later(150 + i * 20, () => {
            if (d.state === 'pending') send(o, d)
            emit('delivery', { order: o.id, team: d.team }, (u) => u.role !== 'team' || u.team === d.team)
          })
        }
        return { status: 201, body: orderFor(user, o, true) }
      }
      if (parts.length === 1) {
        const mine = [...orders.values()].filter((o) => seesOrder(user, o) && (!q.get('status') || o.status === q.get('status')))
        return { status: 200, body: list(mine.reverse().map((o) => orderFor(user, o, false)), url) }
      }
      const o = orders.get(parts[1])
      if (!o || !seesOrder(user, o)) return problem(404, 'not_found', '没有这条命令')
      if (parts.length === 2) return { status: 200, body: orderFor(user, o, true) }
      const team = user.role === 'team' ? user.team : body.team
      const d = o.deliveries.find((x) => x.team === team)
      if (!d) return problem(404, 'not_found', '命令没有下达给这支队伍')
      if (![...answers, 'delivered', 'read'].includes(body.answer)) return problem(400, 'invalid', '没有这种回答')
      if (body.answer === 'rejected' && !body.reason) return problem(400, 'invalid', '无法执行时要写明原因')
      answer(o, d, body, user.username, user.role !== 'team', Date.parse(body.said) || Date.now())
      return { status: 200, body: d }
    }
    if (user.role === 'team') return problem(403, 'forbidden', '队伍账号看不到')
    const mine = (code) => within(code, user.area)
    if (parts[0] === 'devices' && parts[2] === 'readings') return { status: 200, body: list(readings(devices.find((d) => d.id === parts[1]) ?? {}), url) }
    const told = desk.route({ method, parts, url, body, raw, request, user, mine, list })
    if (told) return told
    const judged = judge.route({ method, parts, url, body, request, user, mine, list })
    if (judged) return judged
    switch (parts[0]) {
      case 'areas': return { status: 200, body: list(areas.map((a) => (q.get('outline') === 'true' ? a : { ...a, outline: undefined })), url) }
      case 'teams': return { status: 200, body: list(teams.filter((t) => mine(t.area)), url) }
      case 'alerts': {
        if (parts.length === 1) return { status: 200, body: list(alerts.filter((a) => mine(a.area) && (!q.get('state') || a.state === q.get('state'))), url) }
        const a = alerts.find((x) => x.id === parts[1])
        if (!a) return problem(404, 'not_found', '没有这条告警')
        if (method === 'POST') {
          a.acks.push({ by: user.username, by_name: '保定市防火办', at: iso(), note: body.note ?? '' })
          emit('alert', { id: a.id })
        }
        return { status: method === 'POST' ? 201 : 200, body: a }
      }
      case 'warnings': return { status: 200, body: list(warnings, url) }
      case 'seasons': return { status: 200, body: list(seasons, url) }
      default: return problem(404, 'not_found', '没有这个地址')
    }
  }

  function stream(request, response, user) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store', 'Content-Security-Policy': policy })
    const s = {
      send: (e) => e.sees(user) && response.write(`id: ${e.id}\nevent: ${e.type}\ndata: ${e.data}\n\n`),
      end: () => response.end(),
    }
    response.write(': hello\n\n')
    const last = request.headers['last-event-id']
    if (last !== undefined) for (const e of events) if (e.id > Number(last)) s.send(e)
    streams.add(s)
    request.on('close', () => streams.delete(s))
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://localhost')
    const headers = { 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' }
    try {
      if (!url.pathname.startsWith('/api/v1/')) {
        let path = normalize(url.pathname)
        if (extname(path) === '') path = '/index.html'
        const body = await readFile(join(dist, path))
        response.writeHead(200, { ...headers, 'Content-Type': mime[extname(path)] ?? 'application/octet-stream' })
        response.end(body)
        return
      }
      const token = /firewatch_session=(\w+)/.exec(request.headers.cookie ?? '')?.[1] ?? request.headers.authorization?.replace('Bearer ', '')
      const login = sessions.get(token)
      const user = login && { ...login, token }
      if (url.pathname === '/api/v1/events' && user) return void stream(request, response, user)
      const r = await route(request.method, url, request, user)
      const type = r.problem ? 'application/problem+json' : r.type ?? 'application/json'
      response.writeHead(r.status, { ...headers, ...r.headers, 'Content-Type': type, ...(r.cookie ? { 'Set-Cookie': r.cookie } : {}) })
      response.end(r.status === 204 ? undefined : r.text ?? JSON.stringify(r.problem ?? r.body))
    } catch (cause) {
      response.writeHead(cause.code === 'ENOENT' ? 404 : 500, headers)
      response.end(String(cause))
    }
  })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    logins,
    propose: judge.propose,
    close: async () => {
      clearInterval(walk)
      for (const t of timers) clearTimeout(t)
      for (const s of streams) s.end()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function text(request) {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fake = await startFake({ port: Number(process.env.PORT ?? 8099) })
  console.log(fake.url)
  console.table(fake.logins)
}
