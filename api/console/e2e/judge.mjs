// What the fake server knows of judgement: fire danger, readiness, incidents,
// explanations, silences, hotspots. See fake.mjs.
const iso = (ms = Date.now()) => new Date(ms).toISOString()
const day = (ms) => iso(ms + 8 * 3600_000).slice(0, 10)
const levels = ['不明', '低度危险', '较低危险', '较高危险', '高度危险', '极度危险']
const postures = { normal: '正常', standby: '待命', defence: '防御', combat_ready: '临战', emergency: '紧急防火' }

export function makeJudge({ areas, alerts, t0, emit, createOrder, teams }) {
  const townships = areas.filter((a) => a.level === 'township')
  const fire = alerts.find((a) => a.id === 'al-0001')
  const sos = alerts.find((a) => a.id === 'al-0002')
  const lesser = {
    ...fire, id: 'al-0006', rule: 'co_rise', severity: 'yellow', summary: '一氧化碳 10 分钟内上升 24 ppm', summary_en: 'CO rose by 24 ppm in 10 min',
    evidence: [], acks: [], reasons: [], hush: { kind: 'inhibited', by: fire.id, why: '更严重的告警已说明此处', since: iso(t0), until: null },
  }
  alerts.push(lesser)
  const incident = {
    id: 'in-0001', area: fire.area, area_name: fire.area_name, device: fire.device, lat: fire.lat, lon: fire.lon, title: `${fire.area_name}疑似火情`, severity: 'red', state: 'open',
    began: fire.measured, opened: fire.raised, updated: fire.updated, quiet: null, closed: null, confirmed: null, refuted: null, by: '', by_name: '', alerts: 2, order: '', order_level: null, demo: true,
  }
  for (const a of alerts) {
    a.incident = a === fire || a === lesser ? incident.id : ''
    a.hush ??= null
  }
  const silences = []
  const holdbacks = [{ rule: 'sensor_fire', rule_version: '1', device: fire.device, area: fire.area, area_name: fire.area_name, why: '弱信号，只有一种量且无旁证；火险低于2级，不上报', first: iso(t0 - 7_200_000), last: iso(t0 - 3_600_000), count: 3 }]

  const inputs = { season: 'high_danger', season_unknown: false, warning: 'orange', warning_event: '森林火险', warning_unknown: false, danger: 4, danger_held: false, dry_days: 12, special: '清明' }
  function explained(a) {
    const measured = Date.parse(a.measured)
    const at_ms = Array.from({ length: 60 }, (_, i) => measured - 1_800_000 + i * 60_000)
    const line = (field, unit, low, high) => ({ device: a.device, field, unit, at_ms, value: at_ms.map((t) => low + (high - low) * Math.max(0, 1 - Math.abs(t - measured) / 600_000)) })
    return {
      ...a, sentence: `${a.summary}；规则 ${a.rule}（版本 ${a.rule_version}）；严重程度红色：高火险期由橙色提高到红色；没有扣留。`,
      sentence_en: `${a.summary_en}; rule ${a.rule} (version ${a.rule_version}); severity red: raised by season from orange to red; nothing was held back.`,
      explanation: {
        condition: a.rule === 'sos' ? 'sos button' : a.rule, why: '两种量相互印证', values: a.rule === 'sensor_fire' ? { co_ppm: 26.3, smoke_obs_pct_m: 2.15, suspect_co_ppm: 15, suspect_smoke_obs_pct_m: 1 } : {}, base: 'orange', inputs,
        raised: a.rule === 'sensor_fire' ? [{ by: 'season', why: '高火险期', from: 'orange', to: 'red' }] : [], outcome: a.late_s ? 'actionable' : '', held: a.hush ? [{ at: a.hush.since, by: 'inhibition', why: a.hush.why }] : [],
      },
      series: { from: iso(at_ms[0]), to: iso(at_ms.at(-1)), lines: a.rule === 'sensor_fire' ? [line('smoke_obs_pct_m', '%/m', 0.05, 2.15), line('co_ppm', 'ppm', 1, 26)] : [], missing: a.rule === 'sensor_fire' ? '' : '告警不以测量值为依据' },
    }
  }

  const rows = [...townships.map((a, i) => ({ area: a.code, name: a.name, open: a.parent === '130630', i })), { area: 'professional', name: '专业森林消防队', open: true, i: 0 }].map((x) => ({
    area: x.area, area_name: x.name, posture: 'normal', posture_name: '正常', since: iso(t0 - 86_400_000), by: 'table:demo-1', by_name: '', word: '', proposed: x.open ? 'combat_ready' : 'normal', proposed_name: x.open ? '临战' : '正常',
    proposed_at: iso(t0), open: x.open, reasons: x.open ? ['森林火险橙色预警生效', '火险等级 4 级', '高火险期'] : ['无预警'], sentence: '森林火险橙色预警生效 → 临战', degraded: x.i % 40 === 7, easing_since: null, easing: '',
    inputs: x.open ? inputs : { ...inputs, warning: '', warning_event: '', danger: x.i % 40 === 7 ? 0 : 3, special: '' }, version: 'demo-1', updated: iso(t0), measures: { row: x.open ? '橙色预警' : '平时', patrols: x.open ? 3 : 1, wardens: '加密巡护，盯守坟头、地头、林缘', entrances: '主要路口值守' },
  }))
  const histories = new Map(rows.map((r) => [r.area, [{ ...r }]]))
  const table = { kind: 'readiness', version: 'demo-1', effective: iso(t0 - 86_400_000 * 90), author: 'city', saved: iso(t0), approver: 'admin', approved: iso(t0), in_force: true, body: 'version: demo-1\nrows: []\n' }

  const dangerOf = (a, ms, back = 0) => {
    const level = a.level === 'township' ? (Number(a.code.slice(-2)) + Number(a.code.slice(4, 6)) + back) % 6 : 4
    return {
      area: a.code, area_name: a.name, area_level: a.level, date: day(ms), level, level_name: levels[level], method: 'htz', version: 'htz-1', value: level ? level * 18 - 4.3 : null, dry_days: level ? 4 : null,
      degraded: level === 0 || level === 2, held_from: level === 2 ? day(ms - 86_400_000) : null, provisional: back === 0, note: level ? '' : '没有可用的气象站', rated: iso(t0),
      stations: level ? [{ station: 'sn-0001', km: 4.2, weight: 0.7, value: level * 18, level }, { station: 'sn-0002', km: 9.9, weight: 0.3, value: level * 17, level }] : [],
    }
  }
  const hotspots = [['high', ''], ['nominal', ''], ['low', 'heat-1']].map(([confidence, masked], i) => ({
    id: `hs-${i}`, lat: 39.1 + i * 0.12, lon: 114.7 + i * 0.25, size_km: 0.4, area: townships[i].code, area_name: townships[i].name, seen: iso(t0 - 3_600_000), last: iso(t0 - 2_400_000), satellites: ['Suomi-NPP'], instrument: 'VIIRS',
    confidence, percent: null, frp_mw: 12.5, pixels: 2, members: [], masked, imported: iso(t0), judged: iso(t0), alert: i === 0 ? fire.id : '',
  }))

  const problem = (status, code, title, errors) => ({ status, problem: { type: 'about:blank', title, status, code, errors } })
  const given = new Map()
  function confirmReadiness(body, user, key) {
    if (!key) return problem(400, 'invalid', '缺少 Idempotency-Key')
    const picked = body.areas.map((x) => rows.find((r) => r.area === x.area))
    const moved = body.areas.flatMap((x, i) => (picked[i].proposed === x.proposed ? [] : [{ field: `areas[${i}].proposed`, message: `现建议${picked[i].proposed_name}` }]))
    if (moved.length) return problem(409, 'conflict', '建议已有变化，请重新查看后再确认', moved)
    if (body.posture && picked.some((r) => r.proposed !== body.posture) && !body.word) return problem(422, 'invalid', '内容不对', [{ field: 'word', message: '与建议不同，请说明原因' }])
    for (const r of picked) {
      const posture = body.posture || r.proposed
      Object.assign(r, { posture, posture_name: postures[posture], open: false, by: user.username, by_name: '保定市防火办', word: body.word, since: iso(), updated: iso() })
      histories.get(r.area).unshift({ ...r })
    }
    if (body.order && !given.has(key)) given.set(key, createOrder(user.username, { kind: 'standby', level: 'orange', text: '进入临战状态。', drill: body.drill }, teams.slice(0, 5)))
    emit('readiness', { areas: picked.map((r) => r.area).join() })
    return { status: 200, body: { items: picked, orders: body.order ? [{ ...given.get(key), deliveries: undefined, attempts: undefined }] : [], shortfalls: [] } }
  }

  /** An answer, or undefined for what is asked of others. */
  function route({ method, parts, url, body, request, user, mine, list }) {
    const q = url.searchParams
    const ok = (b, status = 200) => ({ status, body: b })
    switch (parts[0]) {
      case 'alerts': {
        const a = parts.length === 2 && method === 'GET' && alerts.find((x) => x.id === parts[1])
        return a ? ok(explained(a)) : undefined
      }
      case 'incidents': {
        if (parts.length === 1) return ok(list([incident].filter((i) => mine(i.area) && (q.get('open') !== 'true' || !i.closed)), url))
        Object.assign(incident, parts[2] === 'confirmations' ? { state: 'confirmed', confirmed: iso() } : { state: 'refuted', refuted: iso(), closed: iso() }, { by: user.username, by_name: '保定市防火办', updated: iso() })
        emit('incident', { id: incident.id })
        return ok(incident, 201)
      }
      case 'silences': {
        if (method === 'GET') return ok(list(silences.filter((s) => s.in_force || q.get('over') === 'true'), url))
        if (method === 'DELETE') {
          const s = silences.find((x) => x.id === parts[1])
          Object.assign(s, { in_force: false, ended: iso(), lifted: user.username })
          for (const a of alerts) if (a.hush?.by === s.id) a.hush = null
          emit('silence', { id: s.id })
          return ok(s)
        }
        if (body.rule === sos.rule) return problem(422, 'invalid', '内容不对', [{ field: 'rule', message: 'SOS 求救不能静默' }])
        const s = { id: `si-${silences.length + 1}`, rule: '', device: '', area: '', ...body, area_name: '', from: iso(), author: user.username, author_name: '保定市防火办', in_force: true, ended: null, lifted: '' }
        silences.unshift(s)
        for (const a of alerts) {
          if (a.rule !== 'sos' && (!s.rule || s.rule === a.rule) && (!s.device || s.device === a.device) && (!s.area || s.area === a.area)) a.hush = { kind: 'silenced', by: s.id, why: s.reason, since: s.from, until: s.until }
        }
        emit('silence', { id: s.id })
        return ok(s, 201)
      }
      case 'holdbacks': return ok(list(holdbacks, url))
      case 'readiness': {
        if (parts[1] === 'confirmations') return confirmReadiness(body, user, request.headers['idempotency-key'])
        if (parts[1] === 'table') return ok(table)
        if (parts[2] === 'history') return ok(list(histories.get(parts[1]) ?? [], url))
        return ok(list(rows.filter((r) => r.area === 'professional' || mine(r.area)), url))
      }
      case 'danger': {
        if (parts[1] !== 'series') return ok(list(areas.filter((a) => !q.get('area') || a.code === q.get('area')).map((a) => dangerOf(a, Date.now())), url))
        const a = areas.find((x) => x.code === q.get('area'))
        return ok({ items: Array.from({ length: 21 }, (_, i) => dangerOf(a, Date.now() - (20 - i) * 86_400_000, 20 - i)), next: null })
      }
      case 'hotspots': return ok(list(hotspots, url))
    }
    return undefined
  }

  /** Somebody else's change, for tests: what is proposed for an area is another by now. */
  function propose(area, posture) {
    const r = rows.find((x) => x.area === area)
    Object.assign(r, { proposed: posture, proposed_name: postures[posture], open: true, updated: iso() })
  }
  return { route, propose }
}
