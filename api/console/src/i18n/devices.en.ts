import type zh from './devices.zh'

const en: typeof zh = {
  desk: {
    title: 'Devices', count: '{n}', more: '{n} on this page', ofThem: 'of them ', empty: 'No device fits', clear: 'Clear filters', refresh: 'Refresh',
    search: 'id, name, site or alias', kind: 'Kind', area: 'Area', anyKind: 'All kinds', anyArea: 'All areas', wholeCounty: '{n} (all)',
    prev: 'Previous', next: 'Next', page: 'Page {n}', exportCsv: 'Export CSV', exportXlsx: 'Export XLSX', import: 'Import', create: 'New device',
    old: 'The list stands as of {t}: {reason}',
    col: { id: 'Id', name: 'Warden / site', area: 'Township', seen: 'Liveness', battery: 'Battery', notes: 'Health', quarantine: 'Quarantine', calibration: 'Calibration' },
    measured: 'measured', received: 'received', disabled: 'disabled', noBattery: 'unknown',
    note: {
      fast: { s: 'clock {n} s fast', m: 'clock {n} min fast', h: 'clock {n} h fast', d: 'clock {n} d fast' },
      slow: { s: 'clock {n} s slow', m: 'clock {n} min slow', h: 'clock {n} h slow', d: 'clock {n} d slow' },
      missing: '{n} missing (unknown)', buffered: '{n} waiting in the device', floodSlowed: 'sends too much, slowed', floodCut: 'sends too much, cut off',
      daysLeft: '{n} days left', daysLeftNone: 'less than a day', daysLeftYear: 'over a year left',
    },
    missingHint: 'Gaps in the sequence numbers: not received, which is not lost; they may still be in the device.',
    quarantined: '{n}', example: 'Example',
    calibration: { unknown: 'unknown', calibrating: 'calibrating', calibrated: 'calibrated', due: 'due' },
    credential: { none: 'none', active: 'active', revoked: 'revoked' },
    tab: { state: 'State', history: 'Charts', track: 'Track', commands: 'Commands' },
    registry: 'Registry', health: 'Health', actions: 'Administration',
    f: {
      id: 'Device id', kind: 'Kind', area: 'Area', name: 'Name / site name', site: 'Site', phone: 'Phone', place: 'Registered place', lat: 'Latitude', lon: 'Longitude',
      expect: 'Interval', expect_s: 'Interval (s)', disabled: 'Disabled', model: 'Model', alias: 'Alias', firmware: 'Firmware', firmware_reported: 'Firmware reported',
      calibration: 'Calibration', calibrated_at: 'Calibrated at', credential: 'Credential', secret: 'Secret',
    },
    h: {
      liveness: {
        online: 'Online: it measured within the interval expected.', late: 'Late: nothing new was measured within the interval expected.', silent: 'Silent: nothing new was measured for long. Old data handed in later does not count.',
        never_seen: 'Never seen: no reading has come since it was registered.', unknown: 'Unknown: the history is away, or nobody expects it to report.',
      },
      expect: 'expected every {t}', notExpected: 'not expected to report', never: 'No message has ever come',
      times: 'Last measured {m}, last received {r}.', late: 'The last message was late data, {t} after it was measured.',
      clockRight: 'Clock: within 10 s of the server.', clock: '{n}. Measured times are those of the device.', clockUnknown: 'Clock: unknown.',
      battery: 'Battery {pct}%', drains: 'falls {n} points a day', charges: 'rises {n} points a day', steady: 'steady', batteryUnknown: 'Battery: unknown.', trendUnknown: 'trend unknown',
      complete: 'No gap in the sequence numbers.', missing: '{n} missing (unknown): gaps in the sequence; they may still be in the device, and are taken off when they come.', repeated: '{n} came again and count once.', resets: 'The count began anew {n} times.',
      buffered: '{n} waiting in the device.', notBuffered: 'Nothing waits in the device.', bufferUnknown: 'Waiting in the device: unknown.',
      flood: { none: 'It sends at a normal rate.', slowed: 'It sends too much: it is read more slowly.', cut: 'It sends too much: disconnected and kept out for a while.' },
      unknown: 'No health is known yet.',
    },
    history: { hours: { 24: '24 h', 168: '7 d', 720: '30 d' }, empty: 'No readings in this time', failed: 'Cannot be read: {reason}', window: '{t} per point', gap: 'a break: no readings', band: 'line: mean, band: minimum to maximum' },
    track: { empty: 'No positions in this time', failed: 'The track cannot be read: {reason}', points: '{n} points', gaps: '{n} gaps', gapHint: 'no line where no position is known', glitches: '{n} impossible points not drawn', until: 'too many points: only the first part is drawn', start: 'start', end: 'last position', noGl: 'This browser cannot draw the map (no WebGL): {reason}' },
    commands: {
      kind: { message: 'Message', locate: 'Locate now', return: 'Call back', config: 'Settings' },
      state: { queued: 'queued', sent: 'sent', delivered: 'delivered', read: 'read', answered: 'answered', expired: 'expired', superseded: 'superseded', withdrawn: 'withdrawn' },
      steps: { sent: 'sent', delivered: 'delivered', read: 'read', answered: 'answered' },
      title: 'New command', text: 'Text', textMessage: 'Shown to the warden', textOptional: 'Note (optional)', expires: 'Valid for', ttl: { 600: '10 min', 3600: '1 h', 21600: '6 h', 86400: '1 d', 604800: '7 d' },
      drill: 'Drill', send: 'Send', busy: 'Sending…', empty: 'No commands yet', until: 'valid until {t}', by: 'by {who}', withdraw: 'Withdraw', withdrawSure: 'Withdraw now', withdrawReason: 'Reason for withdrawing',
      again: 'Not known whether it was sent: {reason}. Pressing again sends it once only.', failed: 'Commands cannot be read: {reason}', supersedes: 'A newer command of a kind takes the place of an open one; messages are all kept.', answer: 'Answer',
     
    },
    admin: { edit: 'Edit', rotate: 'New credential', revoke: 'Revoke credential', retire: 'Retire', enable: 'Enable again', sure: 'Confirm' },
    sure: {
      rotate: 'The old credential ends at once; the device stays disconnected until it has the new one.', revoke: 'The device is disconnected at once and cannot connect until it has a new credential.', retire: 'The device is disconnected and disabled; its history stays.', enable: 'The device may connect again.',
    },
    form: { create: 'New device', edit: 'Edit device', save: 'Save', saving: 'Saving…', submit: 'Register and make a credential', busy: 'Registering…', pickArea: 'choose', placeHint: 'empty: the middle of the area', aliasHint: "owntracks/user/device, chirpstack/DevEUI, tts/application{'@'}tenant/device", placeBoth: 'Latitude and longitude belong together' },
    card: {
      title: 'Device credential', once: 'The password is shown this once and cannot be seen again after closing; a lost one can only be replaced.', scan: 'Scan the code with the device or its app, or type it in:', username: 'User name', password: 'Password', server: 'Server', tls: 'encrypted', plain: 'not encrypted', publish: 'May publish', subscribe: 'May subscribe',
      copy: 'Copy', copied: 'Copied', copyAll: 'Copy all', noCopy: 'Copying failed, select it by hand', qr: 'QR code: all that the device needs to connect', done: 'Saved it, close', saved: 'The password is in the device or in a safe place',
    },
    importer: {
      title: 'Import devices', file: 'Choose a table (CSV or XLSX)', noFile: 'none chosen', lead: 'A dry run changes nothing; look at its result, then confirm. Rows with a known id change the columns in the table, rows with a new id add a device.', remove: 'Remove devices that are not in the table (history stays)',
      check: 'Dry run', checking: 'Checking…', added: '{n} added', changed: '{n} changed', removed: '{n} removed', unchanged: '{n} unchanged', errors: '{n} errors', noErrors: 'no errors',
      row: 'Row', column: 'Column', message: 'Error', table: 'table', id: 'Id', what: 'Change', columns: 'Columns', first: 'the first {n} only', apply: 'Import {n} changes', applying: 'Importing…', done: 'Imported: {a} added, {c} changed, {r} removed.',
      nothing: 'Nothing to change', fix: 'Correct all errors, then choose the file again', change: { added: 'added', changed: 'changed', removed: 'removed' }, sureRemove: 'Really remove {n} devices', kindUnknown: 'Choose a .csv or .xlsx file', tooLarge: 'The file is larger than 16 MB', example: 'an export serves as a template',
    },
  },
}

export default en
