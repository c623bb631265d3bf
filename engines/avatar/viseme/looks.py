"""Who the drawn people are: their colours and the shapes that make each one somebody else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """One person. Colours are #rrggbb; lengths are pixels of the 512 px frame."""

    skin_glow: str
    skin_light: str
    skin: str
    skin_shade: str
    skin_line: str
    """Colour of soft shadows on the skin."""
    skin_deep: str
    """Colour of the finest lines."""
    lid_skin: str
    blush: str
    blush_opacity: float
    iris_light: str
    iris: str
    iris_dark: str
    lash: str
    brow: str
    brow_path: str
    """Left brow around the centre of the eye; the right one is its mirror image."""
    lip_upper: str
    lip_lower: str
    lip_shine: str
    lip_line: str
    """Between closed lips; never as dark as the inside of the mouth."""
    cheek_px: float
    """Half the width of the face at the cheekbones."""
    jaw_px: float
    """Half the width at the height of the mouth."""
    chin_px: float
    """Half the width of the flat of the chin."""
    chin_y: float
    neck_px: float
    """Half the width of the neck."""
    eye_px: float
    """From the middle of the face to the middle of an eye."""
    eye_up: float
    """How far the upper lid arches."""
    lash_px: float
    """Thickness of the upper lashes."""
    eye_scale: float
    """Size of the eyes, 1 for 44 px wide."""
    mouth_px: float
    """Half the width of the mouth at rest."""
    lip_px: float
    """Thickness of the lower lip."""
    nose_px: float
    """Half the width of the nose."""
    age: str = ""
    """SVG drawn onto the skin, for lines and a shaved beard."""


LOOKS = {
    "mei": Look(
        skin_glow="#fff4e6",
        skin_light="#fde3cd",
        skin="#f6cfb2",
        skin_shade="#e6ae90",
        skin_line="#b86a52",
        skin_deep="#7d4136",
        lid_skin="#efc0a2",
        blush="#f08a78",
        blush_opacity=0.42,
        iris_light="#8a5a3c",
        iris="#50301f",
        iris_dark="#24140e",
        lash="#2a1b1e",
        brow="#3a2930",
        brow_path="M-25-20C-14-31 4-31 18-23C4-26-12-25-25-20Z",
        lip_upper="#cf6663",
        lip_lower="#de7b76",
        lip_shine="#f8b8ae",
        lip_line="#96403f",
        cheek_px=86,
        jaw_px=66,
        chin_px=24,
        chin_y=352,
        neck_px=36,
        eye_px=41,
        eye_up=13,
        lash_px=3.5,
        eye_scale=1.12,
        mouth_px=29,
        lip_px=10,
        nose_px=18,
    ),
    "anna": Look(
        skin_glow="#fff8ee",
        skin_light="#fbe4d6",
        skin="#f3cdb9",
        skin_shade="#dfa992",
        skin_line="#ae6353",
        skin_deep="#7a443c",
        lid_skin="#e8b9a8",
        blush="#ec8579",
        blush_opacity=0.38,
        iris_light="#9cc4cf",
        iris="#4f8496",
        iris_dark="#28495a",
        lash="#3d2a2c",
        brow="#8b7c7a",
        brow_path="M-24-22C-13-32 5-31 18-24C4-27-11-26-24-22Z",
        lip_upper="#b9535f",
        lip_lower="#cb6a72",
        lip_shine="#f0a9a6",
        lip_line="#87393f",
        cheek_px=87,
        jaw_px=69,
        chin_px=27,
        chin_y=354,
        neck_px=40,
        eye_px=42,
        eye_up=12,
        lash_px=2.6,
        eye_scale=1.02,
        mouth_px=30,
        lip_px=9,
        nose_px=18,
        age=(
            '<path d="M232 276C222 284 217 292 214 302M280 276C290 284 295 292 298 302" fill="none"'
            ' stroke="#ae6353" stroke-width="2.5" opacity=".4" stroke-linecap="round"'
            ' filter="url(#soft2)"/>'
            '<path d="M198 244C206 250 218 251 228 247M314 244C306 250 294 251 284 247" fill="none"'
            ' stroke="#ae6353" stroke-width="2" opacity=".4" stroke-linecap="round"'
            ' filter="url(#soft2)"/>'
        ),
    ),
    "david": Look(
        skin_glow="#e0a47a",
        skin_light="#b87a55",
        skin="#9c6243",
        skin_shade="#7b4830",
        skin_line="#35170f",
        skin_deep="#2e1612",
        lid_skin="#8a533a",
        blush="#b4553c",
        blush_opacity=0.22,
        iris_light="#6b4229",
        iris="#3b2317",
        iris_dark="#1c100b",
        lash="#1a1010",
        brow="#1f1513",
        brow_path="M-26-18C-20-29 4-31 20-22C19-19 17-18 15-18C3-23-12-22-26-18Z",
        lip_upper="#8d4a42",
        lip_lower="#ab6257",
        lip_shine="#d99a88",
        lip_line="#5e2d28",
        cheek_px=90,
        jaw_px=78,
        chin_px=34,
        chin_y=356,
        neck_px=52,
        eye_px=42,
        eye_up=11.5,
        lash_px=1.6,
        eye_scale=1.02,
        mouth_px=31,
        lip_px=11,
        nose_px=22,
        age=(
            '<path d="M164 250C170 300 190 330 214 336C206 308 222 286 256 288C290 286 306 308'
            ' 298 336C322 330 342 300 348 250L352 380H160Z" fill="#2a1612" opacity=".16"'
            ' filter="url(#soft5)"/>'
        ),
    ),
}
