import { TscomposeError } from '../errors.ts';

/** Who a container's program runs as. */
export interface ResolvedUser {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups, `gid` among them (CVE-2022-36109), without doubles. */
  readonly groups: readonly number[];
  readonly home: string;
  /** undefined: the image knows no name for the uid. */
  readonly name?: string;
}

/** The image's account files; "" where it has none. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

/**
 * Resolves `user` ("", "name", "1000", "name:group", "1000:1000") and `group_add` against the image's accounts.
 * Digits are always a number, even where the image has a user of that name; without an explicit group the user's own groups
 * count.
 * @throws VALUE_INVALID for an unknown name or a number outside 0 … 2147483647
 */
export function resolveUser(text: string, files: AccountFiles, groupAdd: readonly string[] = []): ResolvedUser {
  const [userText, groupText] = splitUser(text);
  const groups = parseGroups(files.group);
  const account = findAccount(userText, parseAccounts(files.passwd));
  const gid = groupText === undefined ? account.gid : groupNumber(groupText, groups);
  const own = groupText === undefined && account.name !== undefined ? groupsOf(account.name, groups) : [];
  const added = groupAdd.map((name) => groupNumber(name, groups));
  return {
    uid: account.uid,
    gid,
    groups: [...new Set([gid, ...own, ...added])],
    home: account.home,
    ...(account.name === undefined ? {} : { name: account.name }),
  };
}

interface Account {
  readonly name?: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const largestId = 2_147_483_647;

function splitUser(text: string): readonly [user: string, group: string | undefined] {
  const parts = text.split(':');
  const clean = parts.length <= 2 && !/[\s\p{Cc}]/u.test(text) && parts[1] !== '';
  if (!clean) throw invalid(`user ${JSON.stringify(text)} is not USER or USER:GROUP`);
  return [parts[0] as string, parts[1]];
}

function findAccount(text: string, accounts: readonly Account[]): Account {
  if (text === '' || /^[-+]?\d+$/.test(text)) return numericAccount(text === '' ? 0 : idNumber(text), accounts);
  const account = accounts.find((one) => one.name === text);
  if (account) return account;
  throw invalid(`user "${text}" is not in the image's /etc/passwd`, 'use a number, or a name that the image knows');
}

function numericAccount(uid: number, accounts: readonly Account[]): Account {
  return accounts.find((one) => one.uid === uid) ?? { uid, gid: 0, home: uid === 0 ? '/root' : '/' };
}

function groupNumber(text: string, groups: readonly Group[]): number {
  if (/^[-+]?\d+$/.test(text)) return idNumber(text);
  const group = groups.find((one) => one.name === text);
  if (group) return group.gid;
  throw invalid(`group ${JSON.stringify(text)} is not in the image's /etc/group`, 'use a number, or a name that the image knows');
}

function groupsOf(user: string, groups: readonly Group[]): readonly number[] {
  return groups.filter((group) => group.members.includes(user)).map((group) => group.gid);
}

/** One strict parser: a sign or an overflow that wraps would make somebody root (CVE-2026-30892, CVE-2024-40635). */
function idNumber(text: string): number {
  const value = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (value <= largestId) return value;
  throw invalid(`user or group id ${text} is not from 0 to ${largestId}`);
}

/** passwd(5): name:password:uid:gid:comment:home:shell. Lines that are not so are passed over. */
function parseAccounts(text: string): readonly Account[] {
  return text.split('\n').flatMap((line) => {
    const [name, , uid, gid, , home] = line.split(':');
    if (!name || !isId(uid) || !isId(gid)) return [];
    return [{ name, uid: Number(uid), gid: Number(gid), home: cleanHome(home) }];
  });
}

/** group(5): name:password:gid:member,member */
function parseGroups(text: string): readonly Group[] {
  return text.split('\n').flatMap((line) => {
    const [name, , gid, members] = line.split(':');
    if (!name || !isId(gid)) return [];
    return [{ name, gid: Number(gid), members: (members ?? '').trim().split(',') }];
  });
}

function isId(text: string | undefined): text is string {
  return text !== undefined && /^\d{1,12}$/.test(text) && Number(text) <= largestId;
}

/** HOME goes into an environment: no control characters (a carriage return, an escape) from the image. */
function cleanHome(home: string | undefined): string {
  return home?.startsWith('/') && !/\p{Cc}/u.test(home) ? home : '/';
}

function invalid(message: string, hint?: string): TscomposeError {
  return new TscomposeError('VALUE_INVALID', message, hint === undefined ? {} : { hint });
}
