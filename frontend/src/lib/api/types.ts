/**
 * What the REST API says, by its own names. `schema.d.ts` comes from the
 * server's OpenAPI document (`npm run generate`) and is not edited.
 */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Problem = Schemas["Problem"];
export type Profile = Schemas["Profile"];
export type Network = Schemas["Network"];
export type ServerInfo = Schemas["ServerInfo"];
export type SessionState = Schemas["State"];
export type Exit = Schemas["Exit"];
export type Progress = Schemas["Progress"];
export type Session = Schemas["Session"];
export type SessionList = Schemas["SessionList"];
export type CreateSession = Schemas["CreateSession"];
export type CreateTicket = Schemas["CreateTicket"];
export type Ticket = Schemas["Ticket"];
export type Terminal = Schemas["Terminal"];
export type TerminalList = Schemas["TerminalList"];
export type OpenTerminal = Schemas["OpenTerminal"];
