// Made by `npm run types` from the engine's own definitions (wire/). Not to be edited.

/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ClientEvent".
 */
export type ClientEvent = (TextMessage | AudioMessage | WebRtcOffer | WebRtcIceCandidate | TextWebRtcMessage | HelloMessage | InterruptMessage | MicrophoneMessage | PingMessage)
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "EngineEvent".
 */
export type EngineEvent = (AudioDeltaEvent | AudioEvent | CaptionEvent | ErrorEvent | HelloEvent | IceServersEvent | InterruptedEvent | PongEvent | SourcesEvent | StateEvent | TextDeltaEvent | TextEvent | TranscriptionDeltaEvent | TranscriptionEvent | TurnMetricsEvent | VideoEvent | WebRtcAnswerEvent)

export interface Wire {
[k: string]: unknown
}
/**
 * A piece of the voice: `data` is base64 of PCM s16 mono at `sample_rate` Hz.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AudioDeltaEvent".
 */
export interface AudioDeltaEvent {
engine_session_id?: string
type: "audio_delta"
turn_id: string
seq: number
data: string
sample_rate: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AudioEvent".
 */
export interface AudioEvent {
engine_session_id?: string
timestamp: string
type: "audio"
data: string
role: "assistant"
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AudioMessage".
 */
export interface AudioMessage {
engine_session_id?: (string | null)
type: "audio"
data: string
avatar_id?: (string | null)
}
/**
 * A face. Its name is its id.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "AvatarPublic".
 */
export interface AvatarPublic {
name: string
kind: (("drawn" | "photo" | "clip") | null)
state: ("waiting" | "preparing" | "ready" | "failed")
progress: number
reason: string
notes: string[]
frames: number
}
/**
 * A sentence that is being played from now on.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "CaptionEvent".
 */
export interface CaptionEvent {
engine_session_id?: string
type: "caption"
turn_id: string
content: string
at_ms: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TextMessage".
 */
export interface TextMessage {
engine_session_id?: (string | null)
type: "text"
content: string
avatar_id?: (string | null)
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "WebRtcOffer".
 */
export interface WebRtcOffer {
engine_session_id?: (string | null)
type: "webrtc_offer"
sdp: string
user_id: number
avatar_id?: (string | null)
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "WebRtcIceCandidate".
 */
export interface WebRtcIceCandidate {
engine_session_id?: (string | null)
type: "webrtc_ice_candidate"
candidate?: ({
[k: string]: unknown
} | null)
user_id: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TextWebRtcMessage".
 */
export interface TextWebRtcMessage {
engine_session_id?: (string | null)
type: "text_webrtc"
content: string
user_id: number
avatar_id?: (string | null)
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "HelloMessage".
 */
export interface HelloMessage {
engine_session_id?: (string | null)
type: "hello"
/**
 * @maxItems 32
 */
features?: string[]
audio_format?: ("wav" | "mp3" | "ogg")
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "InterruptMessage".
 */
export interface InterruptMessage {
engine_session_id?: (string | null)
type: "interrupt"
}
/**
 * How the learner's live sound is to be taken, and for which session.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MicrophoneMessage".
 */
export interface MicrophoneMessage {
engine_session_id?: (string | null)
type: "microphone"
state: ("open" | "held" | "closed")
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PingMessage".
 */
export interface PingMessage {
engine_session_id?: (string | null)
type: "ping"
}
/**
 * A document of a base, or one on its way into it.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "DocumentPublic".
 */
export interface DocumentPublic {
id: string
name: string
state: ("waiting" | "reading" | "indexing" | "ready" | "failed")
progress: number
reason: string
notes: string[]
pages: number
passages: number
bytes: number
sha256: string
added_at: (string | null)
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "ErrorEvent".
 */
export interface ErrorEvent {
engine_session_id?: string
timestamp: string
type: "error"
content: string
code: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "HelloEvent".
 */
export interface HelloEvent {
engine_session_id?: string
type: "hello"
session_id?: string
features: string[]
engines: {
[k: string]: string
}
}
/**
 * The STUN and TURN servers that a browser needs for its own side.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceServersEvent".
 */
export interface IceServersEvent {
engine_session_id?: string
type: "ice_servers"
items: IceServer[]
ttl_s: number
}
/**
 * As `RTCIceServer` of a browser.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "IceServer".
 */
export interface IceServer {
urls: string[]
username?: string
credential?: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "InterruptedEvent".
 */
export interface InterruptedEvent {
engine_session_id?: string
type: "interrupted"
turn_id?: string
heard: string
stop_ms: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "PongEvent".
 */
export interface PongEvent {
engine_session_id?: string
type: "pong"
}
/**
 * What of the course an answer stands on; comes before its closing text.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SourcesEvent".
 */
export interface SourcesEvent {
engine_session_id?: string
type: "sources"
turn_id: string
items: SourceItem[]
}
/**
 * A passage of a document.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SourceItem".
 */
export interface SourceItem {
kb_id: string
document: string
page?: number
quote: string
score: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "StateEvent".
 */
export interface StateEvent {
engine_session_id?: string
type: "state"
state: ("listening" | "thinking" | "speaking" | "idle")
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TextDeltaEvent".
 */
export interface TextDeltaEvent {
engine_session_id?: string
type: "text_delta"
turn_id: string
content: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TextEvent".
 */
export interface TextEvent {
engine_session_id?: string
timestamp: string
type: "text"
content: string
role: "assistant"
audio?: string
}
/**
 * What has been understood so far of what the learner is saying; replaces the one before.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TranscriptionDeltaEvent".
 */
export interface TranscriptionDeltaEvent {
engine_session_id?: string
type: "transcription_delta"
content: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TranscriptionEvent".
 */
export interface TranscriptionEvent {
engine_session_id?: string
timestamp: string
type: "transcription"
content: string
role: "user"
}
/**
 * Milliseconds from the arrival of the learner's message; None where a stage had no part.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TurnMetricsEvent".
 */
export interface TurnMetricsEvent {
engine_session_id?: string
type: "turn_metrics"
turn_id: string
asr_ms?: number
llm_first_token_ms?: number
first_sentence_ms?: number
tts_first_audio_ms?: number
first_frame_ms?: number
total_ms: number
engines: {
[k: string]: string
}
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "VideoEvent".
 */
export interface VideoEvent {
engine_session_id?: string
timestamp: string
type: "video"
video: string
audio: string
content: string
role: "assistant"
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "WebRtcAnswerEvent".
 */
export interface WebRtcAnswerEvent {
engine_session_id?: string
timestamp: string
type: "webrtc_answer"
sdp: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "EngineHealth".
 */
export interface EngineHealth {
engine: string
state: ("ready" | "degraded" | "starting" | "unavailable")
reason: string
remedy: string
}
/**
 * A passage that fits a question.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "FoundPublic".
 */
export interface FoundPublic {
document: string
page: (number | null)
heading: string
number: number
text: string
score: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "Health".
 */
export interface Health {
status: "healthy"
service: "GPU Server"
version: string
engines: {
[k: string]: EngineHealth
}
sessions: SessionCount
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionCount".
 */
export interface SessionCount {
active: number
max: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "KnowledgeCreate".
 */
export interface KnowledgeCreate {
kb_id: string
}
/**
 * A knowledge base: what a course is made of.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "KnowledgePublic".
 */
export interface KnowledgePublic {
kb_id: string
documents: number
passages: number
embedder: (string | null)
}
/**
 * Something that the student has said of themselves.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MemoryFact".
 */
export interface MemoryFact {
kind: ("name" | "goal" | "difficulty" | "interest" | "other")
text: string
}
/**
 * One of the last messages of the last session.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MemoryMessage".
 */
export interface MemoryMessage {
role: ("user" | "assistant")
content: string
}
/**
 * All that a tutor remembers of a student.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MemoryPublic".
 */
export interface MemoryPublic {
tutor_id: number
summary: string
facts: MemoryFact[]
recent: MemoryMessage[]
updated_at: string
}
/**
 * One entry of a session's conversation.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "MessagePublic".
 */
export interface MessagePublic {
message_id: number
role: ("user" | "assistant")
content: string
interrupted: boolean
created_at: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionCreate".
 */
export interface SessionCreate {
tutor_id: number
student_id: number
kb_id?: (string | null)
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionCreated".
 */
export interface SessionCreated {
session_id: string
engine_url: string
engine_token: string
status: "active"
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "SessionPublic".
 */
export interface SessionPublic {
session_id: string
tutor_id: number
student_id: number
kb_id: (string | null)
status: "active"
created_at: string
last_activity: string
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TutorPublic".
 */
export interface TutorPublic {
id: number
name: string
language: (string | null)
prompt: string
model: (string | null)
voice: TutorVoice
face: string
vocabulary: string[]
kb: (string | null)
outside: ("say_so" | "general")
source: ("file" | "rest")
notes: string[]
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TutorVoice".
 */
export interface TutorVoice {
name: string
rate: number
pitch: number
language: (string | null)
}
/**
 * A tutor as it shall be; what is left out is as usual, and not as it was.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "TutorPut".
 */
export interface TutorPut {
name?: string
language?: (string | null)
prompt?: (string | null)
model?: (string | null)
voice?: TutorVoice1
face: string
/**
 * @maxItems 100
 */
vocabulary?: string[]
kb?: (string | null)
outside?: ("say_so" | "general")
}
export interface TutorVoice1 {
name: string
rate: number
pitch: number
language: (string | null)
}
/**
 * A person's voice, to be spoken with. Only with that person's consent.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "VoiceCreate".
 */
export interface VoiceCreate {
name: string
language?: (string | null)
tutor_id?: (number | null)
recording: string
}
/**
 * How a voice is to be heard on trial: the query of `GET /v1/voices/{name}/sample`.
 * 
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "VoiceManner".
 */
export interface VoiceManner {
language: (string | null)
rate: number
pitch: number
}
/**
 * This interface was referenced by `Wire`'s JSON-Schema
 * via the `definition` "VoicePublic".
 */
export interface VoicePublic {
name: string
engine: string
language: (string | null)
kind: ("built-in" | "cloned")
tutors: number[]
}
