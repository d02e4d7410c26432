# SPDX-License-Identifier: GPL-3.0-or-later
"""chatd-preview: an image goes out upright, in sRGB, without metadata, or not at all."""
import io
import os
import struct
import subprocess
import zlib

import pytest
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

HELPER = os.path.join(os.environ["CHATD_BUILD"], "chatd-preview")
DATA = os.path.join(os.path.dirname(__file__), "..", "data")
SIZE = (96, 64)
QUARTERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
# Which transposition an upright image needs so that the orientation of that number turns it back.
ORIENTATIONS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def quarters(size=SIZE):
    """Red, green / blue, white: any turn or reflection shows."""
    image = Image.new("RGB", size)
    draw = ImageDraw.Draw(image)
    w, h = size[0] // 2, size[1] // 2
    for number, colour in enumerate(QUARTERS):
        x, y = number % 2 * w, number // 2 * h
        draw.rectangle((x, y, x + w, y + h), colour)
    return image


def encode(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def sample(name):
    with open(os.path.join(DATA, name), "rb") as file:
        return file.read()


class Result:
    def __init__(self, code, line, full, preview):
        self.code, self.line, self.full, self.preview = code, line, full, preview
        self.verdict, *words = line.split(" text=")[0].split()
        self.words = dict(word.split("=") for word in words)

    def image(self):
        image = Image.open(io.BytesIO(self.full))
        image.load()
        return image


@pytest.fixture
def convert(tmp_path):
    def run(data, *arguments):
        (tmp_path / "image").write_bytes(data)
        done = subprocess.run(
            ["/bin/sh", "-c", 'exec "$0" "$@" <image 3>full 4>preview', HELPER, *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, timeout=60, check=False)
        line = done.stdout.decode("ascii")
        assert line.count("\n") == 1 and len(line) < 512
        outputs = ((tmp_path / name).read_bytes() for name in ("full", "preview"))
        return Result(done.returncode, line, *outputs)

    return run


def check_quarters(image, tolerance=6):
    for number, colour in enumerate(QUARTERS):
        x, y = 1 + number % 2 * 2, 1 + number // 2 * 2
        pixel = image.getpixel((image.width * x // 4, image.height * y // 4))
        assert all(abs(a - b) <= tolerance for a, b in zip(pixel, colour)), (number, pixel)


def check_clean(data):
    """A bare JPEG of three components: its segments say how to decode it, and no more."""
    image = Image.open(io.BytesIO(data))
    assert image.format == "JPEG" and image.mode == "RGB"
    assert not dict(image.getexif())
    assert not {"exif", "icc_profile", "comment"} & set(image.info)
    assert [name for name, _ in image.applist] in ([], ["APP0"])
    for word in (b"Exif", b"http://", b"Photoshop", b"ICC_PROFILE", b"secret"):
        assert word not in data


def check_done(result, size=SIZE):
    assert (result.code, result.verdict) == (0, "ok"), result.line
    words = result.words
    assert words["mime"] == "image/jpeg"
    for data, prefix in ((result.full, ""), (result.preview, "preview_")):
        image = Image.open(io.BytesIO(data))
        assert image.size == (int(words[prefix + "width"]), int(words[prefix + "height"]))
        assert len(data) == int(words[prefix + "size"])
    assert result.image().size == size
    check_clean(result.preview)
    check_quarters(Image.open(io.BytesIO(result.preview)), 20)


def check_refused(result, kind):
    assert (result.code, result.verdict) == (1, "error"), result.line
    assert result.words["kind"] == kind, result.line
    assert result.full == result.preview == b""


@pytest.mark.parametrize("kind, options", [
    ("JPEG", {"quality": 95}),
    ("JPEG", {"quality": 95, "progressive": True}),
    ("PNG", {}),
    ("WEBP", {"lossless": True}),
    ("WEBP", {"quality": 95}),
    ("GIF", {}),
], ids=["jpeg", "progressive-jpeg", "png", "webp-lossless", "webp", "gif"])
def test_reads_every_kind(convert, kind, options):
    result = convert(encode(quarters(), kind, **options))
    check_done(result)
    check_clean(result.full)
    check_quarters(result.image())


@pytest.mark.parametrize("name", ["upright.heic", "upright.avif", "sideways.heic"])
def test_reads_heif_as_far_as_libvips_does(convert, name):
    result = convert(sample(name))
    if result.words.get("kind") == "unsupported":
        pytest.skip("this libvips is without HEIF")
    check_done(result)
    check_clean(result.full)
    check_quarters(result.image(), 16)


@pytest.mark.parametrize("original", [(), ("--original",)], ids=["scaled", "original"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turns_upright(convert, orientation, original):
    image = quarters()
    if ORIENTATIONS[orientation] is not None:
        image = image.transpose(ORIENTATIONS[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    result = convert(encode(image, "JPEG", quality=95, exif=exif), *original)
    check_done(result)
    check_clean(result.full)
    check_quarters(result.image())


def metadata():
    exif = Image.Exif()
    exif[0x010e] = "secret description"
    exif[0x0110] = "secret camera"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
    return exif


def with_segments(jpeg):
    """The same with XMP, IPTC, a comment and a second image after the first."""
    def segment(marker, content):
        return struct.pack(">BBH", 0xff, marker, len(content) + 2) + content

    return (jpeg[:2]
            + segment(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>secret</x:xmpmeta>")
            + segment(0xed, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\x0b\x1c\2\x69\0\6secret")
            + segment(0xfe, b"secret comment")
            + jpeg[2:] + b"secret" + jpeg)


@pytest.mark.parametrize("original", [(), ("--original",)], ids=["scaled", "original"])
def test_takes_metadata_out_of_a_jpeg(convert, original):
    plain = encode(quarters(), "JPEG", quality=95)
    data = with_segments(encode(quarters(), "JPEG", quality=95, exif=metadata()))
    assert Image.open(io.BytesIO(data)).getexif().get_ifd(0x8825)[1] == "N"
    result = convert(data, *original)
    check_done(result)
    check_clean(result.full)
    if original:
        assert result.image().tobytes() == Image.open(io.BytesIO(plain)).convert("RGB").tobytes()


def test_takes_metadata_out_of_the_others(convert):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Comment", "secret")
    texts.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>secret http://</x:xmpmeta>")
    for data in (
        encode(quarters(), "PNG", pnginfo=texts, exif=metadata()),
        encode(quarters(), "WEBP", exif=metadata(), xmp=b"<x:xmpmeta>secret</x:xmpmeta>"),
        encode(quarters(), "GIF", comment=b"secret"),
    ):
        assert b"secret" in data
        result = convert(data)
        check_done(result)
        check_clean(result.full)


def expected_in_srgb(data):
    image = Image.open(io.BytesIO(data))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    srgb = ImageCms.createProfile("sRGB")
    return ImageCms.profileToProfile(image, profile, srgb, renderingIntent=1)


def test_converts_colours_to_srgb(convert):
    data = sample("wide-gamut.jpg")
    expected = expected_in_srgb(data).getpixel((16, 16))
    unconverted = Image.open(io.BytesIO(data)).getpixel((16, 16))
    assert max(abs(a - b) for a, b in zip(expected, unconverted)) > 10
    result = convert(data)
    assert result.code == 0
    check_clean(result.full)
    assert max(abs(a - b) for a, b in zip(expected, result.image().getpixel((16, 16)))) <= 4


def test_original_keeps_the_colour_profile(convert):
    data = sample("wide-gamut.jpg")
    result = convert(data, "--original")
    assert result.code == 0
    assert result.image().info["icc_profile"] == Image.open(io.BytesIO(data)).info["icc_profile"]
    assert result.image().tobytes() == Image.open(io.BytesIO(data)).tobytes()
    check_clean(result.preview)
    expected = expected_in_srgb(data).getpixel((16, 16))
    preview = Image.open(io.BytesIO(result.preview)).getpixel((16, 16))
    assert max(abs(a - b) for a, b in zip(expected, preview)) <= 4


def test_a_broken_colour_profile_does_no_harm(convert):
    check_done(convert(encode(quarters(), "JPEG", quality=95, icc_profile=b"garbage" * 100)))


@pytest.mark.parametrize("original", [(), ("--original",)], ids=["scaled", "original"])
def test_cmyk_becomes_srgb(convert, original):
    result = convert(encode(quarters().convert("CMYK"), "JPEG", quality=95), *original)
    assert result.code == 0
    check_clean(result.full)
    middles = ((24, 16), (72, 16), (24, 48), (72, 48))
    red, green, blue, white = (result.image().getpixel(at) for at in middles)
    assert red[0] > 150 and max(red[1:]) < 100
    assert green[1] > 120 and green[0] < 100
    assert blue[2] > 80 and blue[2] > max(blue[:2])
    assert min(white) > 250


def test_sixteen_bits_become_eight(convert):
    grey = Image.new("I;16", SIZE, 40000)
    result = convert(encode(grey, "PNG"))
    assert result.code == 0
    check_clean(result.full)
    assert all(abs(value - 40000 / 257) < 3 for value in result.image().getpixel((10, 10)))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_few_colours(convert, mode):
    result = convert(encode(quarters().convert(mode), "PNG"))
    assert result.code == 0
    check_clean(result.full)
    assert min(result.image().getpixel((72, 48))) > 245


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_transparency_becomes_white(convert, kind):
    image = quarters().convert("RGBA")
    image.paste((9, 9, 9, 0), (0, 0, 48, 32))
    result = convert(encode(image, kind, **({"lossless": True} if kind == "WEBP" else {})))
    assert result.code == 0
    check_clean(result.full)
    assert min(result.image().getpixel((24, 16))) > 250
    assert result.image().getpixel((24, 48))[2] > 250


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_becomes_its_first_picture(convert, kind):
    others = [Image.new("RGB", SIZE, colour) for colour in ("black", "grey")]
    result = convert(encode(quarters(), kind, save_all=True, append_images=others, duration=100))
    check_done(result)
    check_quarters(result.image(), 12)


def test_scales_down_and_never_up(convert):
    data = encode(quarters((640, 400)), "PNG")
    result = convert(data, "--max-side=320", "--preview-side=64")
    check_done(result, (320, 200))
    assert Image.open(io.BytesIO(result.preview)).size == (64, 40)
    check_done(convert(data), (640, 400))
    check_done(convert(data, "--original", "--max-side=320"), (640, 400))
    thin = convert(encode(Image.new("RGB", (5000, 1)), "PNG"))
    assert thin.image().size == (4096, 1) and Image.open(io.BytesIO(thin.preview)).size == (320, 1)


def test_a_large_photo_fits_into_the_helpers_memory(convert):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = quarters((8000, 6000)).transpose(ORIENTATIONS[6])
    check_done(convert(encode(turned, "JPEG", exif=exif)), (4096, 3072))
    check_done(convert(encode(turned, "JPEG", exif=exif), "--original"), (8000, 6000))


def test_it_works_shut_in(tmp_path):
    """The first bytes of a result have come, the rest does not fit into the pipe: a look at it."""
    (tmp_path / "image").write_bytes(encode(Image.effect_noise((600, 600), 90), "PNG"))
    process = subprocess.Popen(
        ["/bin/sh", "-c", 'exec "$0" --quality=95 <image 3>&1 >line 4>preview', HELPER],
        cwd=tmp_path, stdout=subprocess.PIPE)
    with process:
        first = process.stdout.read(1)
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        with open(f"/proc/{process.pid}/limits", encoding="utf-8") as file:
            limits = {line[:26].strip(): line[26:].split()[0] for line in file}
        rest = process.stdout.read()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert (limits["Max core file size"], limits["Max open files"]) == ("0", "0")
    assert len(rest) > 65536
    Image.open(io.BytesIO(first + rest)).load()
    assert (tmp_path / "line").read_bytes().startswith(b"ok ")


def test_quality_is_heard(convert):
    noise = encode(Image.effect_noise((200, 200), 80), "PNG")
    assert len(convert(noise, "--quality=20").full) * 2 < len(convert(noise, "--quality=95").full)


TEXT = b"Not an image, however much its name may say so.\n" * 20


@pytest.mark.parametrize("data", [
    TEXT,
    b"\0" * 1000,
    b"<svg xmlns='http://www.w3.org/2000/svg' width='10' height='10'/>",
    b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
    b"BM" + b"\0" * 100,
    b"II*\0" + b"\0" * 100,
    b"\0\0\0\x18ftypmp42" + b"\0" * 100,
    b"\xff\xd8",
    b"x",
], ids=["text", "zeros", "svg", "pdf", "bmp", "tiff", "mp4", "two-bytes", "one-byte"])
def test_what_is_not_a_picture_is_unsupported(convert, data):
    check_refused(convert(data), "unsupported")


def test_nothing_is_invalid(convert):
    check_refused(convert(b""), "invalid")


@pytest.mark.parametrize("original", [(), ("--original",)], ids=["scaled", "original"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_what_is_cut_off_is_invalid(convert, kind, original):
    data = encode(Image.effect_noise((200, 200), 80).convert("RGB"), kind)
    for keep in (20, 100, len(data) // 2, len(data) * 9 // 10):
        check_refused(convert(data[:keep], *original), "invalid")


def test_a_heif_that_is_cut_off_is_invalid(convert):
    data = sample("upright.heic")
    if convert(data).code:
        pytest.skip("this libvips is without HEIF")
    for keep in (20, len(data) // 2, len(data) - 10):
        check_refused(convert(data[:keep]), "invalid")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_damage_never_gets_past_the_helper(convert, kind):
    """Whatever single byte is wrong: a picture or an error, and never a crash."""
    data = encode(quarters((32, 32)), kind)
    step = max(1, len(data) // 15)
    for at in range(0, len(data), step):
        damaged = bytearray(data)
        damaged[at] ^= 0xff
        result = convert(bytes(damaged))
        assert result.code in (0, 1) and result.verdict in ("ok", "error")


def png_header(width, height):
    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b""))


def gif_header(width, height):
    return (struct.pack("<6sHHBBB", b"GIF89a", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
            + struct.pack("<BHHHHB", 0x2c, 0, 0, width, height, 0) + b"\2\2\x4c\1\0;")


def jpeg_header(width, height):
    jpeg = bytearray(encode(quarters(), "JPEG"))
    struct.pack_into(">HH", jpeg, jpeg.index(b"\xff\xc0") + 5, height, width)
    return bytes(jpeg)


@pytest.mark.parametrize("header", [png_header, gif_header, jpeg_header])
def test_a_bomb_is_refused_by_its_header(convert, header):
    check_refused(convert(header(60000, 60000)), "too_large")


def test_limits_are_exact(convert):
    data = encode(quarters(), "PNG")
    pixels = SIZE[0] * SIZE[1]
    check_done(convert(data, f"--max-pixels={pixels}"))
    check_refused(convert(data, f"--max-pixels={pixels - 1}"), "too_large")
    check_done(convert(data, f"--max-bytes={len(data)}"))
    check_refused(convert(data, f"--max-bytes={len(data) - 1}"), "too_large")


def test_the_first_bytes_decide(convert):
    """What follows a picture, or precedes one, is not looked at as something else."""
    png, jpeg = encode(quarters(), "PNG"), encode(quarters(), "JPEG", quality=95)
    check_done(convert(jpeg + png + b"<script>secret</script>"))
    result = convert(jpeg + b"<script>secret</script>", "--original")
    check_done(result)
    check_clean(result.full)
    check_refused(convert(b"<html>" + jpeg), "unsupported")


def test_wrong_arguments_are_told():
    for wrong in ("--quality=0", "--quality=101", "--max-side=x", "--nonsense", "file.jpg"):
        done = subprocess.run([HELPER, wrong], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False, timeout=60)
        assert done.returncode == 2 and b"Usage" in done.stderr and done.stdout == b""
