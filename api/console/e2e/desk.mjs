// The devices' part of the fake server: registry, credentials, tables, history
// and commands, in the shapes of api/v1.
import { randomBytes } from 'node:crypto'
import { seeded } from './world.mjs'

const iso = (ms) => new Date(ms).toISOString()
const problem = (status, code, title, detail, errors) => ({ status, problem: { type: 'about:blank', title, status, code, detail, errors } })

/** What the registry and the health say beyond what the map needs. */
export function furnish(devices, now) {
  const rnd = seeded(23)
  devices.forEach((d, i) => {
    const tracker = d.kind === 'tracker'
    Object.assign(d, {
      site: tracker ? '' : `${d.name.replace(/\d+号站/, '')}后山 ${1 + (i % 7)} 号塔`, phone: tracker ? `0312-555${String(i).padStart(4, '0')}` : '',
      model: tracker ? 'wt-2' : 's2120', alias: i % 40 === 3 ? `owntracks/user${i}/phone` : '', firmware: '1.4.2', firmware_reported: i % 9 ? '1.4.2' : '1.5.0',
      calibration: tracker ? 'unknown' : ['calibrated', 'calibrated', 'calibrating', 'due'][i % 4], calibrated_at: tracker ? null : iso(now - 90 * 86_400_000),
      credential: 'active', health: null,
    })
    if (!d.last) return
    const skew = i % 23 === 4 ? 89 : i % 31 === 7 ? -340 : rnd() * 3
    d.health = {
      measured: d.last.measured, received: d.last.received, skew_s: skew, buffered: i % 17 === 2 ? 120 : 0,
      battery_pct: d.last.values.battery_pct ?? null, battery_rate: -1 - rnd() * 8, days_left: i % 3 === 0 ? null : (d.last.values.battery_pct ?? 50) / (1 + rnd() * 8),
      missing: i % 13 === 1 ? 3 : 0, repeated: i % 11, resets: i % 50 === 9 ? 1 : 0, flood: i === 6 ? 'slowed' : i === 8 ? 'cut' : 'none',
    }
  })
}

export function makeDesk({ devices, areaName, emit, later }) {
  const commands = []
  let serial = 0

  const seenAs = (d) => d.liveness === 'never_seen'
  const counted = (list) => {
    const n = (l) => list.filter((d) => d.liveness === l).length
    return { online: n('online'), late: n('late'), silent: n('silent') + list.filter((d) => seenAs(d) && d.expect_s > 0).length, never_seen: n('never_seen'), unknown: n('unknown') }
  }
  const secret = () => randomBytes(12).toString('base64url')
  const card = (d) => ({
    username: d.id, password: secret(), host: 'broker.example', port: 8883, tls: true, url: 'mqtts://broker.example',
    publish: d.kind === 'tracker' ? ['position', 'sos', 'report', 'status'].map((c) => `fw/v1/trackers/${d.id}/${c}`) : ['environment', 'status'].map((c) => `fw/v1/sensors/${d.id}/${c}`),
    subscribe: d.kind === 'tracker' ? [`fw/v1/trackers/${d.id}/orders`] : [], qr_text: '{}', qr_svg: code(d.id),
  })

  // No QR code, but as hard to look at.
  function code(id) {
    const rnd = seeded(id.length * 7919)
    let path = ''
    for (let y = 0; y < 29; y++) for (let x = 0; x < 29; x++) if (rnd() > 0.5) path += `M${x} ${y}h1v1h-1z`
    return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 33 33"><rect x="-2" y="-2" width="33" height="33" fill="#fff"/><path d="${path}"/></svg>`
  }

  function report(text, dry) {
    const [head, ...rows] = text.trim().split(/\r?\n/).map((l) => l.split(','))
    const out = { dry_run: dry, added: 0, changed: 0, removed: 0, unchanged: 0, changes: [], errors: [] }
    rows.forEach((cells, i) => {
      const row = Object.fromEntries(head.map((h, n) => [h, cells[n] ?? '']))
      const known = devices.find((d) => d.id === row.id)
      if (!known && !areaName(row.area)) return out.errors.push({ sheet: '', row: i + 2, column: 'area', message: `没有区划 ${row.area}` })
      if (!known) {
        out.added++
        out.changes.push({ id: row.id, change: 'added', columns: [] })
        return !dry && devices.push(fresh(row))
      }
      const columns = ['name', 'phone'].filter((c) => c in row && row[c] !== known[c])
      if (columns.length === 0) return out.unchanged++
      out.changed++
      out.changes.push({ id: row.id, change: 'changed', columns })
      if (!dry) for (const c of columns) known[c] = row[c]
    })
    if (out.errors.length > 0) Object.assign(out, { added: 0, changed: 0, changes: [], unchanged: 0 })
    return out
  }
  const fresh = (b) => ({
    site: '', phone: '', name: '', model: '', alias: '', firmware: '', firmware_reported: '', calibration: 'unknown', calibrated_at: null, lat: null, lon: null, expect_s: 300,
    disabled: false, ...b, area_name: areaName(b.area), credential: 'active', liveness: 'never_seen', last: null, quarantine: null, health: null, heading: 0,
  })

  function windows(d, q) {
    const kind = q.get('class')
    const [from, to] = [Date.parse(q.get('from')), Date.parse(q.get('to'))]
    const every = [300, 1800, 10_800].find((s) => (to - from) / 1000 / s <= 300)
    const rnd = seeded(d.id.length * 31 + kind.length)
    const items = []
    for (let t = Math.floor(from / every / 1000) * every * 1000; t < to && d.last; t += every * 1000) {
      if (Math.floor(t / 3600_000) % 9 === 4) continue // an hour without a network
      const warm = Math.sin(((t / 3600_000 + 2) % 24) / 24 * 2 * Math.PI)
      const mean = kind === 'status' ? { battery_pct: 95 - ((t / 3600_000) % 24) * 2, rssi_dbm: -80 + rnd() * 12 }
        : kind === 'position' ? { speed_ms: 1 + rnd() * 0.6, alt_m: 620 + 80 * warm + rnd() * 9 }
          : { temp_c: 12 + 7 * warm + rnd(), rh_pct: 45 - 18 * warm + rnd() * 3, smoke_obs_pct_m: 0.05 + rnd() * 0.05, co_ppm: 1 + rnd(), wind_ms: 2 + rnd() * 3 }
      const spread = (f) => Object.fromEntries(Object.entries(mean).map(([k, v]) => [k, v + f * (0.4 + rnd()) * Math.abs(v) * 0.06]))
      items.push({ at: iso(t), count: 5, min: spread(-1), mean, max: spread(1) })
    }
    return { every_s: every, items }
  }

  function track(d, q) {
    const [from, to] = [Date.parse(q.get('from')), Date.parse(q.get('to'))]
    const rnd = seeded(d.id.length * 17 + 5)
    let [lon, lat, heading] = [d.lon, d.lat, rnd() * 6]
    const [coordinates, times] = [[], []]
    let line = null
    for (let t = Math.max(from, to - 20 * 3600_000); t < to; t += 120_000) {
      heading += (rnd() - 0.5) * 0.9
      lon += Math.cos(heading) * 0.0007
      lat += Math.sin(heading) * 0.0006
      if (Math.floor(t / 3600_000) % 5 === 2) {
        line = null
        continue
      }
      if (!line) {
        line = []
        coordinates.push(line)
        times.push([])
      }
      line.push([lon, lat])
      times.at(-1).push(t)
    }
    const n = coordinates.flat().length
    const place = coordinates[0]?.[5]
    const marks = place ? [{ class: 'sos', measured: iso(times[0][5]), received: iso(times[0][5]), lat: place[1], lon: place[0], code: 'button', text: '' }] : []
    return {
      type: 'Feature', geometry: { type: 'MultiLineString', coordinates },
      properties: { device: d.id, from: q.get('from'), to: q.get('to'), until: null, zoom: Number(q.get('zoom')), tolerance_m: 4, gap_s: 600, readings: n, vertices: n, times_ms: times, marks, glitches: [], glitch_count: 0 },
    }
  }

  function command(user, d, body, key) {
    const c = {
      id: `cm-${++serial}`, key, device: d.id, device_name: d.name, area: d.area, area_name: d.area_name, kind: body.kind, level: 'blue', text: body.text, drill: body.drill, issuer: user.username, issuer_name: '保定市防火办',
      issued: iso(Date.now()), expires: iso(Date.now() + body.expires_s * 1000), state: 'queued', open: true, sent: null, delivered: null, read: null, ended: null, answer: '', reason: '', by: '',
    }
    commands.unshift(c)
    const step = (ms, change) => later(ms, () => {
      if (!c.open) return
      Object.assign(c, change())
      emit('command', { id: c.id, device: d.id, state: c.state })
    })
    const at = () => iso(Date.now())
    step(150, () => ({ state: 'sent', sent: at() }))
    if (body.kind === 'return') return c // this one stays open
    step(300, () => ({ state: 'delivered', delivered: at() }))
    step(450, () => ({ state: 'read', read: at() }))
    step(600, () => ({ state: 'answered', open: false, ended: at(), answer: 'accepted', by: d.name }))
    return c
  }

  /** Answers what is asked of devices and commands; undefined: not ours. */
  function route({ method, parts, url, body, raw, request, user, mine, list }) {
    const q = url.searchParams
    const admin = user.role === 'admin'
    if (parts[0] === 'commands' && method === 'DELETE') {
      const c = commands.find((x) => x.id === parts[1])
      if (!c) return problem(404, 'not_found', '没有这条指令')
      if (!q.get('reason')) return problem(422, 'invalid', '内容无效', '', [{ field: 'reason', message: '必填' }])
      Object.assign(c, { state: 'withdrawn', open: false, ended: iso(Date.now()), reason: q.get('reason'), by: user.username })
      return { status: 200, body: c }
    }
    if (parts[0] !== 'devices') return undefined
    if (method !== 'GET' && parts[2] !== 'commands' && !admin) return problem(403, 'forbidden', '没有权限')
    if (parts.length === 1 && method === 'GET') {
      const known = ['kind', 'area', 'seen', 'q', 'liveness', 'limit', 'cursor']
      const strange = [...q.keys()].find((k) => !known.includes(k))
      if (strange) return problem(400, 'invalid', '请求无效', `没有参数 ${strange}`)
      const found = devices.filter((d) => mine(d.area) && (!q.get('kind') || d.kind === q.get('kind')) && (!q.get('area') || d.area.startsWith(q.get('area'))) && (q.get('seen') !== 'true' || d.last)
        && [d.id, d.name, d.site, d.alias, d.phone].some((s) => s.toLowerCase().includes((q.get('q') ?? '').toLowerCase())))
      const live = q.get('liveness')
      const shown = found.filter((d) => !live || d.liveness === live || (live === 'silent' && seenAs(d) && d.expect_s > 0))
      return { status: 200, body: { ...list(shown, url), counts: counted(found) } }
    }
    if (parts.length === 1) {
      if (devices.some((d) => d.id === body.id)) return problem(409, 'conflict', '内容冲突', '已有此编号的设备')
      if (!areaName(body.area ?? '')) return problem(422, 'invalid', '内容无效', '', [{ field: 'area', message: '没有此区划代码' }])
      const d = fresh(body)
      devices.unshift(d)
      return { status: 201, body: { device: d, card: card(d) } }
    }
    if (parts[1] === 'export') return { status: 200, type: 'text/csv', text: `id,kind,area,name,phone\n${devices.slice(0, 3).map((d) => [d.id, d.kind, d.area, d.name, d.phone].join()).join('\n')}\n`, headers: { 'Content-Disposition': 'attachment; filename="devices.csv"' } }
    if (parts[1] === 'import') {
      const dry = q.get('dry_run') === 'true'
      const r = report(raw, dry)
      return !dry && r.errors.length ? problem(422, 'invalid', '内容无效') : { status: 200, body: r }
    }
    const d = devices.find((x) => x.id === parts[1])
    if (!d || !mine(d.area)) return problem(404, 'not_found', '没有这台设备')
    switch (parts[2]) {
      case undefined:
        if (method === 'PATCH') Object.assign(d, body, body.area ? { area_name: areaName(body.area) } : {})
        if (method === 'DELETE') d.disabled = true
        return method === 'DELETE' ? { status: 204 } : { status: 200, body: d }
      case 'credential':
        d.credential = method === 'POST' ? 'active' : 'revoked'
        return method === 'POST' ? { status: 201, body: card(d) } : { status: 204 }
      case 'windows': return { status: 200, body: windows(d, q) }
      case 'track': return { status: 200, body: track(d, q) }
      case 'commands': {
        if (method === 'GET') return { status: 200, body: list(commands.filter((c) => c.device === d.id), url) }
        const key = request.headers['idempotency-key']
        if (!key) return problem(400, 'invalid', '缺少 Idempotency-Key')
        const again = commands.find((c) => c.key === key)
        return again ? { status: 200, body: again } : { status: 201, body: command(user, d, body, key) }
      }
      default: return undefined
    }
  }
  return { route }
}
