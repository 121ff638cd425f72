/**
 * nf_tables messages (linux/netfilter/nfnetlink.h, nf_tables.h). Pure. What stands between BATCH_BEGIN and BATCH_END is one
 * transaction: packets meet the old table or the new one, never something between.
 */

import {
  type Attribute,
  ATTRIBUTE_MAX,
  attributeSize,
  be32Attribute,
  bytesAttribute,
  decodeAttributes,
  Flag,
  type Message,
  nested,
  type Received,
  readText,
  textAttribute,
} from '../netlink/codec.ts';
import { dataValue, encodeExpression } from './expressions.ts';
import { type Chain, type Hook, type Ruleset, type SetDefinition, type SetElement, typeBytes, typeNumber } from './ruleset.ts';

const SUBSYSTEM = 10;
const NFPROTO_UNSPEC = 0;
const NFPROTO_INET = 1;
const Batch = { begin: 16, end: 17 } as const;
const NftMessage = { newTable: 0, getTable: 1, deleteTable: 2, newChain: 3, newRule: 6, newSet: 9, newElements: 12 } as const;
const TableAttribute = { name: 1, userdata: 6 } as const;
const ChainAttribute = { table: 1, name: 3, hook: 4, policy: 5, type: 7 } as const;
const HookAttribute = { number: 1, priority: 2 } as const;
const SetAttribute = { table: 1, name: 2, flags: 3, keyType: 4, keyLength: 5, dataType: 6, dataLength: 7, id: 10 } as const;
const ElementList = { table: 1, set: 2, elements: 3, setId: 4 } as const;
const ElementAttribute = { key: 1, data: 2 } as const;
const RuleAttribute = { table: 1, chain: 2, expressions: 4 } as const;
const NFT_SET_MAP = 8;
const NF_ACCEPT = 1;
const LIST_ELEMENT = 1;

const hookNumbers: Readonly<Record<Hook, number>> = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 };

/**
 * Puts `ruleset` in the place of the table of its name, whether or not there is one: adding makes the deletion safe, and all of
 * it happens in one transaction.
 */
export function replaceTable(ruleset: Ruleset): Message[] {
  return transaction([
    newTable(ruleset),
    deleteTable(ruleset.table),
    newTable(ruleset),
    ...ruleset.sets.map((set) => newSet(ruleset.table, set)),
    ...ruleset.sets.flatMap((set) => newElements(ruleset.table, set)),
    ...ruleset.chains.map((chain) => newChain(ruleset.table, chain)),
    ...ruleset.chains.flatMap((chain) => chain.rules.map((_rule, index) => newRule(ruleset.table, chain, index))),
  ]);
}

/** Deletes the table; no failure when there is none. */
export function dropTable(table: string): Message[] {
  return transaction([newTable({ table, comment: '' }), deleteTable(table)]);
}

/** Lists all tables of the inet family. */
export function dumpTables(): Message {
  return { ...nftMessage(NftMessage.getTable, 0, [], 'listing firewall tables'), flags: Flag.dump };
}

/** NFT_MSG_NEWTABLE → name; undefined for any other message. */
export function readTableName(message: Received): string | undefined {
  if (message.type !== (SUBSYSTEM << 8) + NftMessage.newTable || message.body.length < 4) return undefined;
  return readText(decodeAttributes(message.body.subarray(4)).get(TableAttribute.name));
}

/**
 * Errors come unasked; one acknowledgement, of the last change, says that all were taken. BATCH_END asks for none: kernels before
 * 6.10 would not send it.
 */
function transaction(changes: readonly Message[]): Message[] {
  const last = changes.length - 1;
  return [
    batchMark(Batch.begin),
    ...changes.map((change, index) => (index === last ? { ...change, flags: change.flags | Flag.ack } : change)),
    batchMark(Batch.end),
  ];
}

function batchMark(type: number): Message {
  return {
    type,
    flags: 0,
    header: Uint8Array.of(NFPROTO_UNSPEC, 0, 0, SUBSYSTEM),
    attributes: [],
    purpose: 'changing the firewall',
  };
}

function nftMessage(type: number, flags: number, attributes: readonly Attribute[], purpose: string): Message {
  return { type: (SUBSYSTEM << 8) + type, flags, header: Uint8Array.of(NFPROTO_INET, 0, 0, 0), attributes, purpose };
}

function newTable(ruleset: { readonly table: string; readonly comment: string }): Message {
  const attributes = [textAttribute(TableAttribute.name, ruleset.table)];
  if (ruleset.comment) attributes.push(bytesAttribute(TableAttribute.userdata, commentBytes(ruleset.comment)));
  return nftMessage(NftMessage.newTable, Flag.create, attributes, `adding firewall table ${ruleset.table}`);
}

function deleteTable(table: string): Message {
  return nftMessage(NftMessage.deleteTable, 0, [textAttribute(TableAttribute.name, table)], `removing firewall table ${table}`);
}

/** libnftnl's udata: type 0 is the comment, one byte of length, text with NUL. */
function commentBytes(comment: string): Uint8Array {
  const text = new TextEncoder().encode(comment).subarray(0, 126);
  return Uint8Array.of(0, text.length + 1, ...text, 0);
}

function newSet(table: string, set: SetDefinition): Message {
  const attributes = [
    textAttribute(SetAttribute.table, table),
    textAttribute(SetAttribute.name, set.name),
    be32Attribute(SetAttribute.flags, set.data ? NFT_SET_MAP : 0),
    be32Attribute(SetAttribute.keyType, typeNumber(set.key)),
    be32Attribute(SetAttribute.keyLength, typeBytes(set.key)),
    be32Attribute(SetAttribute.id, set.id),
  ];
  if (set.data) {
    attributes.push(
      be32Attribute(SetAttribute.dataType, typeNumber(set.data)),
      be32Attribute(SetAttribute.dataLength, typeBytes(set.data)),
    );
  }
  return nftMessage(NftMessage.newSet, Flag.create, attributes, `adding firewall set ${set.name}`);
}

function newElements(table: string, set: SetDefinition): Message[] {
  return pieces(set.elements.map(encodeElement)).map((elements) =>
    nftMessage(
      NftMessage.newElements,
      Flag.create,
      [
        textAttribute(ElementList.table, table),
        textAttribute(ElementList.set, set.name),
        be32Attribute(ElementList.setId, set.id),
        nested(ElementList.elements, elements),
      ],
      `filling firewall set ${set.name}`,
    ),
  );
}

function encodeElement(element: SetElement): Attribute {
  const key = dataValue(ElementAttribute.key, element.key);
  return nested(LIST_ELEMENT, element.data ? [key, dataValue(ElementAttribute.data, element.data)] : [key]);
}

/** Cuts a list so that each piece fits into one attribute. */
function pieces(elements: readonly Attribute[]): Attribute[][] {
  const lists: Attribute[][] = [];
  let room = 0;
  for (const element of elements) {
    const size = attributeSize(element);
    if (size > room) {
      lists.push([]);
      room = ATTRIBUTE_MAX - 4;
    }
    lists.at(-1)?.push(element);
    room -= size;
  }
  return lists;
}

function newChain(table: string, chain: Chain): Message {
  const hook = [
    be32Attribute(HookAttribute.number, hookNumbers[chain.hook]),
    be32Attribute(HookAttribute.priority, chain.priority),
  ];
  const attributes = [
    textAttribute(ChainAttribute.table, table),
    textAttribute(ChainAttribute.name, chain.name),
    nested(ChainAttribute.hook, hook),
    be32Attribute(ChainAttribute.policy, NF_ACCEPT),
    textAttribute(ChainAttribute.type, chain.type),
  ];
  return nftMessage(NftMessage.newChain, Flag.create, attributes, `adding firewall chain ${chain.name}`);
}

function newRule(table: string, chain: Chain, index: number): Message {
  const attributes = [
    textAttribute(RuleAttribute.table, table),
    textAttribute(RuleAttribute.chain, chain.name),
    nested(RuleAttribute.expressions, (chain.rules[index] ?? []).map(encodeExpression)),
  ];
  return nftMessage(
    NftMessage.newRule,
    Flag.create | Flag.append,
    attributes,
    `adding rule ${index + 1} of firewall chain ${chain.name}`,
  );
}
